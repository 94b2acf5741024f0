"""What `openapi.json` says of bodies and answers; the objects themselves are those of `cli/JSON.md`."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import unquote

from pydantic import BeforeValidator, WithJsonSchema

from bulk_cancel.tasks.mass import WITH
from bulk_cancel.tasks.messages import MAX_ORDERS, AccountName, BatchId, Text
from bulk_cancel.worker.gateway.problems import KINDS, MEDIA_TYPE, TYPE

Schema = dict[str, Any]

_PRINTABLE: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"
_INST_ID: Final = r"^[A-Z0-9]+([_.][A-Z0-9]+)*(-[A-Z0-9]+([_.][A-Z0-9]+)*)+$"
_ACCOUNT: Final = r"^[a-z0-9][a-z0-9_-]{0,63}$"
_BATCH_ID: Final = r"^[!-\-/-~][!-~]{0,127}$"
"""One that begins with a dot may be a step of a path to a client, and is better not used."""
_METER: Final = r"^[A-Z0-9]+([_.-][A-Z0-9]+)*(:[a-z]+)?$"


def _unquoted(value: object) -> object:
    """A path is matched as it was sent, so that a `/` in a name is no part of the path."""
    return unquote(value) if isinstance(value, str) else value


BatchPath = Annotated[
    BatchId, BeforeValidator(_unquoted), WithJsonSchema({"type": "string", "pattern": _BATCH_ID, "example": "b1"})
]
AccountPath = Annotated[
    AccountName, BeforeValidator(_unquoted), WithJsonSchema({"type": "string", "pattern": _ACCOUNT, "example": "desk1"})
]
Key = Annotated[
    BatchId,
    BeforeValidator(lambda said: said[1:-1] if isinstance(said, str) and said[:1] == said[-1:] == '"' else said),
    WithJsonSchema({"type": "string", "pattern": _BATCH_ID, "description": "The batch's id"}),
]
Account = Annotated[AccountName, WithJsonSchema({"type": "string", "pattern": _ACCOUNT})]
UserPath = Annotated[
    str, BeforeValidator(_unquoted), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})
]
MeterPath = Annotated[
    str, BeforeValidator(_unquoted), WithJsonSchema({"type": "string", "pattern": _METER, "example": "BTC-USDT"})
]


def _text(limit: int = 256, **more: object) -> Schema:
    return {"type": "string", "maxLength": limit, "pattern": _PRINTABLE, **more}


Reason = Annotated[Text, WithJsonSchema(_text())]

_LABELS: Final[Schema] = {
    "type": "object",
    "maxProperties": 16,
    "propertyNames": _text(64, minLength=1),
    "additionalProperties": _text(),
}
_ENVELOPE: Final[Schema] = {
    "account": {"type": "string", "pattern": _ACCOUNT, "example": "desk1"},
    "urgent": {"type": "boolean"},
    "reason": _text(),
    "deadline_s": {"type": ["integer", "null"], "minimum": 1, "maximum": 86_400},
    "labels": _LABELS,
}
_ORDER: Final[Schema] = {
    "type": "object",
    "properties": {
        "instId": {"type": "string", "maxLength": 64, "pattern": _INST_ID, "example": "BTC-USDT"},
        "ordId": {"type": "string", "pattern": "^[1-9][0-9]{0,19}$"},
        "clOrdId": {"type": "string", "pattern": "^[A-Za-z0-9]{1,32}$"},
    },
    "required": ["instId"],
    "anyOf": [{"required": ["ordId"]}, {"required": ["clOrdId"]}],
}
_ALGO: Final[Schema] = {
    "type": "object",
    "description": "An algo order. A row of the exchange that names both is told apart by its `ordType`",
    "properties": {
        "instId": _ORDER["properties"]["instId"],
        "algoId": _ORDER["properties"]["ordId"],
        "algoClOrdId": _ORDER["properties"]["clOrdId"],
    },
    "required": ["instId"],
    "anyOf": [{"required": ["algoId"]}, {"required": ["algoClOrdId"]}],
}
BATCH: Final[Schema] = {
    "type": "object",
    "properties": {
        **_ENVELOPE,
        "orders": {"type": "array", "minItems": 1, "maxItems": MAX_ORDERS, "items": {"anyOf": [_ORDER, _ALGO]}},
    },
    "required": ["account", "orders"],
    "additionalProperties": False,
}
_FILTERS: Final[Schema] = {
    "instType": {"enum": ["SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS", None]},
    "instFamily": {"type": ["string", "null"], "maxLength": 64, "pattern": _INST_ID},
    "instId": {"type": ["string", "null"], "maxLength": 64, "pattern": _INST_ID},
    "side": {"enum": ["buy", "sell", None]},
    "tag": {"type": ["string", "null"], "pattern": "^[A-Za-z0-9]{1,16}$"},
    "clOrdId_prefix": {"type": ["string", "null"], "pattern": "^[A-Za-z0-9]{1,32}$"},
    "min_age_s": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 31_536_000},
    "with": {"type": ["array", "null"], "items": {"enum": list(WITH)}},
    "protective": {"enum": ["keep", "cancel", None]},
    "bots": {"enum": ["keep-positions", None]},
}
_ACCOUNT_OR_ALL: Final[Schema] = {"type": "string", "pattern": rf"{_ACCOUNT}|^\*$", "example": "desk1"}
SCOPE: Final[Schema] = {
    "type": "object",
    "properties": {"account": _ACCOUNT_OR_ALL, **_FILTERS},
    "required": ["account"],
    "additionalProperties": False,
}
MASS: Final[Schema] = {
    "type": "object",
    "properties": {
        **_ENVELOPE,
        **_FILTERS,
        "account": _ACCOUNT_OR_ALL,
        "until_flat_s": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 3600},
        "hold": {"type": ["boolean", "null"]},
    },
    "required": ["account"],
    "additionalProperties": False,
}
WHY: Final[Schema] = {"type": "object", "properties": {"reason": _text()}, "additionalProperties": False}
SOME: Final[Schema] = {
    "account": {"type": "array", "items": _ENVELOPE["account"], "description": "Only these accounts'; all without it"},
    "instId": {"type": "array", "items": _ORDER["properties"]["instId"], "description": "Only these instruments'"},
    "sCode": {"type": "array", "items": _text(32), "description": "Only those of which the exchange said this last"},
    "since": {"type": ["string", "null"], "format": "date-time", "description": "Ended, or handed in, then or later"},
    "dry_run": {"type": "boolean", "description": "Only count them"},
}
RETRY: Final[Schema] = {
    "type": "object",
    "properties": {
        "reason": _text(),
        "deadline_s": _ENVELOPE["deadline_s"],
        "statuses": {
            "type": "array",
            "minItems": 1,
            "items": {"enum": ["rejected", "exhausted", "withdrawn", "gone"]},
        },
    },
    "additionalProperties": False,
}
TOKEN: Final[Schema] = {
    "type": "object",
    "properties": {"token": {"type": "string", "maxLength": 1000}},
    "required": ["token"],
    "additionalProperties": False,
}
PROBLEM: Final[Schema] = {
    "description": "RFC 9457; `type` is stable, `errors` has a line for each fault",
    "type": "object",
    "properties": {
        "type": {"enum": [f"{TYPE}{kind}" for kind in KINDS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "string"}},
        "shard": {"type": "string", "description": "Of several, the one that is away"},
        "taken": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The mass cancels that other shards took",
        },
    },
    "required": ["type", "title", "status", "detail"],
}


def body(schema: Schema, *, required: bool = True) -> Schema:
    """The part of an operation that describes its JSON body."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def filled(name: str) -> Schema:
    """That this filter is given: a list of one at least, or a time."""
    return {"required": [name], "properties": {name: {"type": ["array", "string"], "minItems": 1}}}


def shape(name: str) -> Schema:
    """An object of `cli/JSON.md`, by the name in its `schema`."""
    return {"type": "object", "properties": {"schema": {"const": f"{name}/1"}}, "required": ["schema"]}


def listed(name: str, items: str) -> Schema:
    """An object that holds a list of objects."""
    found = shape(name)
    found["properties"][items] = {"type": "array", "items": {"type": "object"}}
    return {**found, "required": ["schema", items]}


def answers(good: Mapping[int, Schema | str], *bad: int) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation: objects as JSON or a media type, and the problems besides those that all have."""
    told: dict[int | str, dict[str, Any]] = {}
    for status, what in good.items():
        content = {what: {}} if isinstance(what, str) else {"application/json": {"schema": what}}
        told[status] = {"description": "Done", "content": content}
    for status in sorted({*bad, 401, 403, 422, 503}):
        titles = "; ".join(title for code, title in KINDS.values() if code == status)
        told[status] = {
            "description": titles,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return told
