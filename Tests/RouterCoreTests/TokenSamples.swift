/// Texts written for these tests, with what `o200k_base` makes of them (`Benchmarks/tokens/samples.py` counts again).
struct TokenSample: Sendable, CustomStringConvertible {
    let name: String
    let tokens: Int64
    let text: String

    init(_ name: String, _ tokens: Int64, _ text: String) {
        self.name = name
        self.tokens = tokens
        self.text = text
    }

    var description: String { name }

    static let all = [
        TokenSample(
            "English prose", 190,
            #"""
            The harbour lay quiet under a thin layer of fog when Miriam unlocked the office. She had promised the insurers an
            answer before noon, and she still didn't know what the divers had found beneath the pier. Nobody asks for a
            harbour master's opinion until something sinks; then everyone wants it at once, in writing, with photographs.
            She put the kettle on, spread the tide tables across the desk and began to read. Three boats had come in during
            the night. Two of them were familiar: the ferry, which was always late on Tuesdays, and old Petersen's trawler,
            held together by paint and stubbornness. The third had no name on its stern, and its crew hadn't signed the book.
            "It's probably nothing," she told the cat, who had already decided that it was nothing and gone back to sleep.
            But she'd said the same about the storm in March, and the insurance company still brought that up in every call.
            """#),
        TokenSample(
            "Chinese prose", 228,
            #"""
            清晨的港口笼罩在一层薄雾之中，办公室的门刚刚打开，电话就响了起来。保险公司要求她在中午之前给出答复，可是潜水员还没有把
            码头下面的照片送来。平时没有人会关心港务长的意见，只有出了事故的时候，大家才希望马上得到一份书面报告。她烧了一壶水，把潮汐
            表铺在桌子上，开始仔细地阅读。昨天晚上一共有三艘船进港，其中两艘她很熟悉：一艘是每到星期二就晚点的渡轮，另一艘是老渔民的
            拖网船。第三艘船的船尾没有名字，船员也没有在登记簿上签名。“大概没什么问题吧。”她对猫说。不过今年三月的那场暴风雨之前，她也
            说过同样的话，后来保险公司每次打电话都要提起这件事情。
            """#),
        TokenSample(
            "Swift", 192,
            #"""
            struct TideTable: Sendable {
                private var entries: [Entry] = []

                /// The next high water after an instant, or nil at the end of the table.
                func nextHighWater(after instant: Instant) -> Entry? {
                    var low = 0
                    var high = entries.count
                    while low < high {
                        let middle = (low + high) / 2
                        if entries[middle].time <= instant {
                            low = middle + 1
                        } else {
                            high = middle
                        }
                    }
                    return entries[low...].first { $0.kind == .highWater && $0.height > 2.75 }
                }

                mutating func append(_ entry: Entry) throws(TideError) {
                    guard entries.last.map({ $0.time < entry.time }) ?? true else { throw .outOfOrder(entry.time) }
                    entries.append(entry)
                }
            }
            """#),
        TokenSample(
            "Python", 210,
            #"""
            import argparse
            from collections import defaultdict


            def load_arrivals(path, *, skip_unsigned=False):
                """Read the harbour book and group its lines by berth."""
                berths = defaultdict(list)
                with open(path, encoding="utf-8") as book:
                    for number, line in enumerate(book, start=1):
                        fields = [field.strip() for field in line.split(";")]
                        if len(fields) != 4:
                            raise ValueError(f"{path}:{number}: expected 4 fields, found {len(fields)}")
                        vessel, berth, hour, signature = fields
                        if skip_unsigned and not signature:
                            continue
                        berths[berth].append((int(hour), vessel.title()))
                return {berth: sorted(ships) for berth, ships in berths.items()}


            if __name__ == "__main__":
                parser = argparse.ArgumentParser(description=__doc__)
                parser.add_argument("book", help="semicolon separated file")
                print(load_arrivals(parser.parse_args().book))
            """#),
        TokenSample(
            "JSON", 217,
            #"""
            {"harbour":{"name":"Nordstrand","position":{"lat":54.4821,"lon":8.8714},"berths":[{"id":"A1","length_m":42.5,
            "depth_m":3.1,"occupied_by":null},{"id":"A2","length_m":60,"depth_m":4.25,"occupied_by":"ferry-17"}]},
            "arrivals":[{"vessel":"Trawler 'Petersen'","arrived_at":"2026-03-14T03:52:10Z","signed":true,"crew":4},
            {"vessel":"","arrived_at":"2026-03-14T04:40:59Z","signed":false,"crew":3,"notes":"no name on the stern"}],
            "checksum":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","page":1,"total_pages":12}
            """#),
        TokenSample(
            "Chinese with code", 130,
            #"""
            要安装这个工具，请先运行 `apt-get install tide-tools`，然后编辑配置文件 `/etc/tide/config.yaml`：

            ```yaml
            harbour: nordstrand
            refresh: 15m
            ```

            如果命令返回 `error: unknown harbour`，说明名称拼写有误。可以用 `tide list --json | jq '.[].name'` 查看所有可用的港口。
            注意：从 2.3 版本开始，`refresh` 的单位必须写明（例如 `15m` 或 `1h`），否则程序会拒绝启动并输出 line number 和 column。
            """#),
        TokenSample(
            "chat with emoji", 100,
            #"""
            hey!! did you see the fog this morning? 😀 couldn't even find the pier lol
            — yeah, ferry was 40 min late (again) 🙄
            ok so: 1) coffee ☕ 2) call the insurers 3) find out who owns that boat…
            – sounds like a plan 👍 btw the cat says hi 🐱
            haha tell her I'm bringing fish 🐟🐟 around 12:30, maybe 12:45 if the bridge is up
            """#),
        TokenSample(
            "German prose", 129,
            #"""
            Der Hafen lag still unter einer dünnen Nebelschicht, als Miriam das Büro aufschloss. Sie hatte der Versicherung bis
            zum Mittag eine Antwort versprochen und wusste noch immer nicht, was die Taucher unter der Mole gefunden hatten.
            Niemand fragt eine Hafenmeisterin nach ihrer Meinung, bis etwas untergeht; dann wollen alle sie sofort, schriftlich
            und mit Fotografien. Drei Schiffe waren in der Nacht eingelaufen. Zwei davon kannte sie: die Fähre, die dienstags
            grundsätzlich Verspätung hatte, und den alten Fischkutter, den nur noch Farbe und Eigensinn zusammenhielten.
            """#),
        TokenSample(
            "Russian prose", 98,
            #"""
            Гавань лежала тихо под тонким слоем тумана, когда Мария открыла контору. Она обещала страховой компании ответ до
            полудня и всё ещё не знала, что водолазы нашли под причалом. Никто не спрашивает мнения начальника порта, пока
            что-нибудь не утонет; тогда оно нужно всем сразу, в письменном виде и с фотографиями. Ночью пришли три судна.
            """#),
        TokenSample(
            "Japanese prose", 101,
            #"""
            朝の港は薄い霧に包まれていた。事務所の鍵を開けると、すぐに電話が鳴り始めた。保険会社には正午までに返事をすると約束していたが、
            ダイバーが桟橋の下で何を見つけたのか、彼女はまだ知らなかった。何かが沈むまで、港長の意見を聞く人はいない。
            """#),
    ]
}
