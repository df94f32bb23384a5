"""A naive server, for benchmarks/serve.py: python naive.py CLASSIFIER PORT."""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

app = FastAPI()
classify = pipeline("text-classification", model=sys.argv[1], top_k=None)


class Request(BaseModel):
    texts: list[str]


@app.post("/predict")
def predict(request: Request) -> Any:
    return classify(request.texts, batch_size=32, truncation=True)


uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
