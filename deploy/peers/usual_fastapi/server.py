"""FastAPI as tutorials write it: `UploadFile`, a synchronous endpoint in the thread pool, a dictionary returned."""

from typing import Any

from fastapi import FastAPI, UploadFile
from peers.keypoint_work import work_of_environment

app = FastAPI()
work = work_of_environment()


@app.post("/keypoints")
def keypoints(file: UploadFile) -> dict[str, Any]:
    return work.answers([file.file.read()])[0]
