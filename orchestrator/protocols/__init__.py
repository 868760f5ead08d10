"""Pure codecs of the Seldon, Open Inference (v2) and TensorFlow protocols: bytes to what the engine needs, and back."""
