"""Ray and its data sets, without what they print and report about themselves."""

import logging
import os

os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# How often it tries to reach a cluster, 40 s each time.
os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")

import ray
from ray import data

logging.getLogger("ray.data").setLevel(logging.CRITICAL)

__all__ = ["data", "ray"]
