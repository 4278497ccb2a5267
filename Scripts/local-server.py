#!/usr/bin/env python3
"""llama.cpp's own server with a model of random weights, for tests of the gateway in front of a real local server.

    local-server.py PORT FOLDER

No model can be downloaded in tests, so a tiny one is made: one layer of a Llama, a byte-level vocabulary, weights from a fixed seed. What it says is
noise; how it says it (streams, usage, finish reasons, errors) is llama.cpp's. Needs the PyPI packages xllamacpp, gguf and numpy.
"""
import pathlib
import signal
import sys
import threading

import gguf
import numpy
import xllamacpp

WIDTH, HEADS, FEED, CONTEXT = 64, 4, 128, 2_048


def byte_letters():
    """GPT-2's printable stand-ins for bytes, in which byte-level vocabularies are written."""
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    letters, extra = {}, 0
    for byte in range(256):
        if byte in plain:
            letters[byte] = chr(byte)
        else:
            letters[byte] = chr(256 + extra)
            extra += 1
    return letters


def write_model(path: pathlib.Path) -> None:
    rng = numpy.random.default_rng(7)
    letters = byte_letters()
    tokens = [letters[byte] for byte in range(256)] + ["he", "in", "<|begin|>", "<|end|>"]
    kinds = [gguf.TokenType.NORMAL] * 258 + [gguf.TokenType.CONTROL] * 2
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("noise")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["h e", "i n"])
    writer.add_bos_token_id(258)
    writer.add_eos_token_id(259)
    writer.add_chat_template("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: ")

    def tensor(name, *shape):
        data = numpy.ones(shape, numpy.float32) if len(shape) == 1 else rng.normal(0, 0.2, shape).astype(numpy.float32)
        writer.add_tensor(name, data)

    tensor("token_embd.weight", len(tokens), WIDTH)
    tensor("output_norm.weight", WIDTH)
    tensor("output.weight", len(tokens), WIDTH)
    for name in ("attn_norm", "ffn_norm"):
        tensor(f"blk.0.{name}.weight", WIDTH)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        tensor(f"blk.0.{name}.weight", WIDTH, WIDTH)
    tensor("blk.0.ffn_gate.weight", FEED, WIDTH)
    tensor("blk.0.ffn_up.weight", FEED, WIDTH)
    tensor("blk.0.ffn_down.weight", WIDTH, FEED)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    model = folder / "noise.gguf"
    write_model(model)
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {"noise"}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = 1
    params.warmup = False
    server = xllamacpp.Server(params)
    print(f"ready {server.listening_address}", flush=True)
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    done.wait()


if __name__ == "__main__":
    main()
