"""A recommendation service over an exported bundle. It needs neither torch nor RecBole nor recbole_kd.

pip install fastapi uvicorn numpy
BUNDLE=bundle uvicorn serve_fastapi:app --app-dir examples --port 8000
curl "localhost:8000/recommend/196?k=3"
"""

import os
import sys
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, Field

BUNDLE = os.environ.get("BUNDLE", "bundle")
sys.path.insert(0, BUNDLE)
from reader import Recommender  # noqa: E402  (bundle/reader.py)

recommender = Recommender(BUNDLE)
app = FastAPI(title=f"{recommender.about['model']} on {recommender.about['dataset']}")
Size = Annotated[int, Query(ge=1, le=100)]


class Batch(BaseModel):
    users: Annotated[list[str], Field(min_length=1, max_length=1000)]
    k: Annotated[int, Field(ge=1, le=100)] = 10


def known(tokens: list[str], rows: dict[str, int], kind: str) -> None:
    unknown = [token for token in tokens if token not in rows]
    if unknown:
        raise HTTPException(404, f"unknown {kind} '{unknown[0]}'")


# A ranking takes well under a millisecond for some thousand items, less than a thread costs: async def keeps it in the
# event loop. With a million items write def instead, so that one request does not hold up the others.
@app.get("/recommend/{user:path}")
async def recommend(user: str, k: Size = 10, exclude_seen: bool = True) -> list[tuple[str, float]]:
    known([user], recommender.user_rows, "user")
    return recommender.recommend(user, k, exclude_seen)


@app.post("/recommend")
async def recommend_batch(batch: Batch) -> dict[str, list[tuple[str, float]]]:
    known(batch.users, recommender.user_rows, "user")
    return dict(zip(batch.users, recommender.recommend_batch(batch.users, batch.k), strict=True))


@app.get("/similar/{item:path}")
async def similar(item: str, k: Size = 10) -> list[tuple[str, float]]:
    known([item], recommender.item_rows, "item")
    return recommender.similar_items(item, k)


@app.get("/health")
async def health() -> dict[str, str | int]:
    return {"model": recommender.about["model"], "users": len(recommender.users), "items": len(recommender.items)}
