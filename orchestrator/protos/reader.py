"""Descriptors from the text of a `.proto` file, for the part of proto3 that our files use.

`protoc` does the same when a program is built; we read the files at the start instead, so that neither generated code
nor the compiler is needed. A test holds that both make the same descriptors.
"""

import re
from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

_TOKEN = re.compile(r'//[^\n]*|"([^"]*)"|([A-Za-z_][\w.]*|\d+|[{}<>(),;=])|(\s+)|(.)')
_SCALARS = {
    name: getattr(FieldDescriptorProto, f"TYPE_{name.upper()}")
    for name in ("double", "float", "int64", "uint64", "int32", "bool", "string", "bytes", "uint32", "sint32", "sint64")
}


class ProtoError(ValueError):
    """The text is not in the part of proto3 that is read here."""


def read(text: str, name: str) -> FileDescriptorProto:
    """The descriptor of a file of that name. Raises ProtoError."""
    file = FileDescriptorProto(name=name)
    reader = _Reader(text)
    while reader.more:
        match reader.word():
            case "syntax":
                reader.expect("=")
                file.syntax = reader.word()
                reader.expect(";")
            case "package":
                file.package = reader.word()
                reader.expect(";")
            case "import":
                file.dependency.append(reader.word())
                reader.expect(";")
            case "message":
                reader.message(file.message_type.add())
            case "enum":
                reader.enum(file.enum_type.add())
            case "service":
                reader.service(file)
            case other:
                raise ProtoError(f"{name}: {other!r} is not read; expected message, enum or service")
    return file


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._tokens)

    def word(self) -> str:
        if not self.more:
            raise ProtoError("the text ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def expect(self, *words: str) -> None:
        for word in words:
            found = self.word()
            if found != word:
                raise ProtoError(f"found {found!r}; expected {word!r}")

    def message(self, into: DescriptorProto) -> None:
        into.name = self.word()
        self.expect("{")
        while (word := self.word()) != "}":
            match word:
                case "message":
                    self.message(into.nested_type.add())
                case "enum":
                    self.enum(into.enum_type.add())
                case "oneof":
                    self.oneof(into)
                case "map":
                    self.map(into)
                case "repeated":
                    self.field(into, self.word(), FieldDescriptorProto.LABEL_REPEATED)
                case kind:
                    self.field(into, kind)

    def field(
        self,
        into: DescriptorProto,
        kind: str,
        label: FieldDescriptorProto.Label.ValueType = FieldDescriptorProto.LABEL_OPTIONAL,
    ) -> FieldDescriptorProto:
        field = into.field.add(name=self.word(), label=label)
        _typed(field, kind)
        self.expect("=")
        field.number = int(self.word())
        self.expect(";")
        return field

    def oneof(self, into: DescriptorProto) -> None:
        into.oneof_decl.add(name=self.word())
        index = len(into.oneof_decl) - 1
        self.expect("{")
        while (kind := self.word()) != "}":
            self.field(into, kind).oneof_index = index

    def map(self, into: DescriptorProto) -> None:
        self.expect("<")
        key = self.word()
        self.expect(",")
        value = self.word()
        self.expect(">")
        field = self.field(into, "", FieldDescriptorProto.LABEL_REPEATED)
        entry = into.nested_type.add(
            name="".join(part[:1].upper() + part[1:] for part in field.name.split("_")) + "Entry"
        )
        entry.options.map_entry = True
        for number, (name, kind) in enumerate((("key", key), ("value", value)), 1):
            _typed(entry.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL), kind)
        _typed(field, f"{into.name}.{entry.name}")

    def enum(self, into: EnumDescriptorProto) -> None:
        into.name = self.word()
        self.expect("{")
        while (name := self.word()) != "}":
            self.expect("=")
            into.value.add(name=name, number=int(self.word()))
            self.expect(";")

    def service(self, file: FileDescriptorProto) -> None:
        service = file.service.add(name=self.word())
        self.expect("{")
        while (word := self.word()) != "}":
            if word != "rpc":
                raise ProtoError(f"found {word!r} in a service; expected rpc")
            method = service.method.add(name=self.word())
            self.expect("(")
            method.input_type = self.word()
            self.expect(")", "returns", "(")
            method.output_type = self.word()
            self.expect(")", ";")


def _typed(field: FieldDescriptorProto, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type_name = kind  # the pool finds it, from the inside out, and whether it is a message or an enum


def _tokens(text: str) -> Iterator[str]:
    for found in _TOKEN.finditer(text):
        quoted, word, _, other = found.groups()
        if other is not None:
            raise ProtoError(f"found {other!r}, which is not read")
        if quoted is not None or word is not None:
            yield word if quoted is None else quoted
