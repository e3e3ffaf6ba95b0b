"""What the OpenAPI document says of request bodies, which the framework cannot know: the service reads them itself."""

from typing import Any, Final, get_args

from service.answer_options import AnswerFormat, Coordinates
from service.schemas import KeypointsBatchRequest, KeypointsRequest

_DEADLINE: Final = {
    "name": "X-Deadline-Ms",
    "in": "header",
    "description": "milliseconds from the request's arrival after which its answer is of no use any more",
    "schema": {"type": "integer", "minimum": 1},
}
_REQUEST_ID: Final = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "an id for the log and the answer; without it the server makes one",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:+/=-]{1,128}$"},
}
_BOXES_IN_QUERY: Final = {
    "name": "boxes",
    "in": "query",
    "description": "for a raw image body: `x,y,width,height;x,y,width,height` in pixels of the picture as displayed",
    "schema": {"type": "string"},
    "example": "96,40,128,160",
}
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "model": {"type": "string", "description": "name of the model; without it the default"},
    "version": {"type": "string", "description": "of the model; without it the newest"},
    "coordinates": {
        "type": "string",
        "enum": list(get_args(Coordinates)),
        "description": "pixels of the picture, or shares of its width and height",
    },
    "format": {"type": "string", "enum": list(get_args(AnswerFormat)), "description": "the shape of the answer"},
    "heatmaps": {
        "type": "string",
        "enum": ["true", "false"],
        "description": "add the heatmaps; in the format native, of one picture only",
    },
}
_OPTIONS_IN_QUERY: Final = [
    {"name": name, "in": "query", "description": f"for a raw image body: {schema['description']}", "schema": schema}
    for name, schema in _OPTIONS.items()
]
PICTURE: Final = {"type": "string", "format": "binary"}
_FORM: Final = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": PICTURE,
        "boxes": {"type": "string", "description": "JSON: [[x, y, width, height], ...]"},
        **_OPTIONS,
    },
}
_BATCH_FORM: Final = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "array", "items": PICTURE},
        "boxes": {"type": "string", "description": "JSON: for each file [[x, y, width, height], ...] or null"},
        **_OPTIONS,
    },
}
KEYPOINTS_REQUEST: Final[dict[str, Any]] = {
    "parameters": [_BOXES_IN_QUERY, *_OPTIONS_IN_QUERY, _DEADLINE, _REQUEST_ID],
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": PICTURE},
            "application/octet-stream": {"schema": PICTURE},
            "multipart/form-data": {"schema": _FORM},
            "application/json": {"schema": KeypointsRequest.model_json_schema()},
        },
    },
}
BATCH_REQUEST: Final[dict[str, Any]] = {
    "parameters": [_DEADLINE, _REQUEST_ID],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _BATCH_FORM},
            "application/json": {
                "schema": KeypointsBatchRequest.model_json_schema(ref_template="#/components/schemas/{model}")
            },
        },
    },
}
_TENSOR: Final = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string", "enum": ["image", "boxes", "crops"]},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": 8},
        "datatype": {"type": "string", "enum": ["BYTES", "FP32", "UINT8"]},
        "data": {"type": "array", "description": "numbers, or files in base64"},
        "parameters": {"type": "object", "properties": {"binary_data_size": {"type": "integer", "minimum": 0}}},
    },
}
_INFERENCE_MESSAGE: Final = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1, "maxItems": 16},
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string", "enum": ["keypoints", "scores", "boxes"]}},
            },
        },
    },
    "example": {
        "inputs": [
            {"name": "image", "shape": [1], "datatype": "BYTES", "data": ["/9j/4AAQSkZJRg..."]},
            {"name": "boxes", "shape": [1, 4], "datatype": "FP32", "data": [96, 40, 128, 160]},
        ]
    },
}
INFERENCE_REQUEST: Final[dict[str, Any]] = {
    "parameters": [
        _DEADLINE,
        _REQUEST_ID,
        {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "description": "where the JSON ends and the tensors' bytes begin; without it all is JSON",
            "schema": {"type": "integer", "minimum": 1},
        },
    ],
    "requestBody": {"required": True, "content": {"application/json": {"schema": _INFERENCE_MESSAGE}}},
}
_ALWAYS: Final = (
    "bad-request",
    "unauthorized",
    "not-found",
    "not-acceptable",
    "request-timeout",
    "too-large",
    "unsupported-media-type",
)
_LATER: Final = ("overloaded", "internal", "not-ready", "deadline-exceeded")
KEYPOINTS_PROBLEMS: Final = (*_ALWAYS, "unprocessable-image", "invalid-parameter", *_LATER)
BATCH_PROBLEMS: Final = (*_ALWAYS, "invalid-parameter", *_LATER)
