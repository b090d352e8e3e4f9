from ._latency import Stopwatch as Stopwatch
from ._latency import describe as describe
