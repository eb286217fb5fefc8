"""Exports trained models as ONNX or `torch.export` files, which run without this package, and loads them again."""
