#!/usr/bin/env bash
# Fetches what the token measurements need into a folder outside the repo: a real tokenizer (bpe-openai, MIT, which ships
# o200k_base and cl100k_base) and free texts (Debian documentation, Python packages). Usage: fetch.sh FOLDER
set -euo pipefail
folder=${1:?folder}
mkdir -p "$folder/deb" "$folder/json"
cd "$folder"
[ -d venv ] || python3 -m venv venv
venv/bin/pip install -q bpe-openai==0.1.4 regex numpy
(cd deb && apt-get download -qq debian-handbook debian-reference-{en,zh-cn,ja,de,fr} debian-faq-{ko,ru,zh-cn} \
    maint-guide maint-guide-{zh-cn,ru,ja,es,de} fortunes fortunes-zh && for file in *.deb; do dpkg-deb -x "$file" x; done)
venv/bin/pip download -q --no-deps -d json botocore cfn-lint
(cd json && for file in *.whl; do python3 -m zipfile -e "$file" x; done)
echo "ready: $folder"
