from ._compute import count as count
from ._compute import measure_compute as measure_compute
from ._operands import operands_of as operands_of
from ._torch_counter import TOP as TOP
from ._torch_counter import Call as Call
from ._torch_counter import count_macs as count_macs
from ._torch_counter import record_macs as record_macs
