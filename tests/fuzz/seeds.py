"""What a fuzzer begins with: bytes that are nearly right."""

import json
from collections.abc import Mapping

from orchestrator import protos

_REQUEST = b"POST /api/v1.0/predictions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
_CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nT: r\r\n\r\n"
_SELDON = protos.message("seldon.protos.SeldonMessage")()
_SELDON.data.tensor.shape[:] = [1, 2]
_SELDON.data.tensor.values[:] = [1.0, 2.0]
_INFER = protos.message("inference.ModelInferRequest")(model_name="m", raw_input_contents=[b"\0" * 8])
_INFER.inputs.add(name="x", datatype="FP32", shape=[2])
_TENSOR = {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2.5]}
_BODIES = (
    {"data": {"ndarray": [[1, 2], [3, "a"]]}, "meta": {"routing": {"a": 1}, "tags": {"t": None}}},
    {"data": {"tensor": {"shape": [1, 2], "values": [1, 2]}, "names": ["a"]}},
    {"request": {}, "response": {"meta": {"routing": {"r": 0}}}, "reward": 1.0, "truth": {"strData": "x"}},
    {"model_name": "m", "id": "7", "outputs": [_TENSOR, {"a": '"]}\\'}], "parameters": {"outputs": [[]]}},
    {"inputs": [_TENSOR], "outputs": [_TENSOR], "parameters": {"binary_data_output": True}},
    {"instances": [[1.0, 2.0]], "predictions": [[1.0], [2.0]], "signature_name": "s"},
)

SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "server": (b"\x05" + _REQUEST * 2, b"\x40" + _CHUNKED, b"\x01GET /ready?a=b HTTP/1.0\r\nConnection: close\r\n\r\n"),
    "client": (
        b"\x05HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"\x40HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 E\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"\x09HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\nInference-Header-Content-Length: 2\r\n\r\n{}",
    ),
    "json": tuple(b"\xff" + json.dumps(body).encode() for body in _BODIES),
    "messages": (_SELDON.SerializeToString(), _INFER.SerializeToString()),
}
