"""The bundle behind MLServer, as a custom runtime: the Open Inference Protocol in and out, adaptive batching.

Options of docs.seldon.ai/mlserver (user guide: adaptive batching, parallel inference, custom runtimes):
`parallel_workers`, `max_batch_size` and `max_batch_time`; the catalogue writes them into its settings files. A picture
comes as base64 in JSON, which its REST interface has in place of bytes.
"""

# mypy: disable-error-code="import-not-found, misc"
# The package is in the environment of this peer alone, so that its types are unknown.

import numpy as np
from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from peers.keypoint_work import KeypointWork, work_of_environment


class Keypoints(MLModel):
    async def load(self) -> bool:
        self.work: KeypointWork = work_of_environment()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        jpegs = Base64Codec.decode_input(payload.inputs[0])
        found = self.work.find([self.work.decode(jpeg) for jpeg in jpegs])
        boxes_N4 = np.array([[one.box.x, one.box.y, one.box.width, one.box.height] for one in found])
        points_NK2 = np.array([one.points_in_image for one in found])
        scores_NK = np.array([one.scores for one in found], np.float64)
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                NumpyCodec.encode_output("boxes", boxes_N4.round(3)),
                NumpyCodec.encode_output("keypoints", points_NK2.round(3)),
                NumpyCodec.encode_output("scores", scores_NK.round(4)),
            ],
        )
