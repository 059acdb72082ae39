"""Times torch.optim.AdamW(fused=True) on a GPU over the shapes of a file, by workload.

python3 fused_adamw.py shapes.json
"""

import json
import statistics
import sys
import time

import torch

for workload, shapes in json.load(open(sys.argv[1])).items():
    tensors = [torch.randn(shape, device="cuda", requires_grad=True) for shape in shapes]
    for tensor in tensors:
        tensor.grad = torch.randn_like(tensor)
    optimizer = torch.optim.AdamW(tensors, fused=True)
    steps = 20
    times = []
    for _ in range(34):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            optimizer.step()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / steps * 1000)
    # The first compile and warm up.
    print(f"{workload}: PyTorch {torch.__version__} fused AdamW {statistics.median(times[3:]):.4f} ms")
