"""MACs of single layers against closed forms, of whole networks against fvcore, and what is not counted."""

import io
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
import torchvision
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn

from wildbench.measures.compute._torch_counter import TOP, count_macs


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize(("stride", "padding", "dilation", "kernel"), [(1, 0, 1, 1), (2, 1, 1, 3), (1, 2, 2, 3)])
def test_a_convolution_spends_one_mac_for_each_weight_at_each_position(
    groups: int, dimensions: int, stride: int, padding: int, dilation: int, kernel: int
) -> None:
    layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1](8, 16, kernel, stride, padding, dilation, groups)
    side = (11 + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    count = count_macs(lambda: layer(torch.zeros(2, 8, *[11] * dimensions)), layer)
    assert count.macs == 2 * side**dimensions * 16 * (8 // groups) * kernel**dimensions
    assert count.uncounted == {}


@pytest.mark.parametrize("groups", [1, 4])
def test_a_transposed_convolution_places_its_kernel_at_input_positions(groups: int) -> None:
    layer = nn.ConvTranspose2d(8, 12, 3, stride=2, groups=groups)
    assert count_macs(lambda: layer(torch.zeros(1, 8, 5, 7)), layer).macs == 5 * 7 * 8 * (12 // groups) * 9


def product(a: list[int], b: list[int]) -> Callable[[], Tensor]:
    return lambda: torch.zeros(a) @ torch.zeros(b)


@pytest.mark.parametrize(
    ("forward", "macs"),
    [
        (product([5, 3], [3, 4]), 5 * 3 * 4),
        (product([5, 3], [3]), 5 * 3),
        (product([3], [3]), 3),
        (product([2, 5, 3], [3, 4]), 2 * 5 * 3 * 4),
        (product([2, 5, 3], [2, 3, 4]), 2 * 5 * 3 * 4),
        (product([6, 2, 5, 3], [2, 3, 4]), 6 * 2 * 5 * 3 * 4),
        (lambda: nn.Linear(3, 4)(torch.zeros(2, 5, 3)), 2 * 5 * 3 * 4),
        (lambda: torch.einsum("bik,bjk->bij", torch.zeros(2, 5, 3), torch.zeros(2, 4, 3)), 2 * 5 * 3 * 4),
        (lambda: torch.addmv(torch.zeros(5), torch.zeros(5, 3), torch.zeros(3)), 5 * 3),
    ],
    ids=["mm", "mv", "dot", "folded", "bmm", "broadcast", "linear", "einsum", "addmv"],
)
def test_a_matrix_product_spends_one_mac_for_each_element_and_summand(forward: Callable[[], Tensor], macs: int) -> None:
    assert count_macs(forward).macs == macs


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_attention_is_counted_where_torch_would_take_one_fused_operator(mode: type) -> None:
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()
    tokens, width, hidden = 10, 16, 32
    with mode():
        count = count_macs(lambda: layer(torch.zeros(1, tokens, width)), layer)
    projections = tokens * (4 * width * width + 2 * width * hidden)
    assert count.macs == projections + 2 * tokens * tokens * width
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_deformable_convolution_counts_as_a_convolution() -> None:
    layer = torchvision.ops.DeformConv2d(8, 12, 3, groups=2)
    count = count_macs(lambda: layer(torch.zeros(1, 8, 7, 7), torch.zeros(1, 18, 5, 5)), layer)
    assert count.macs == 5 * 5 * 12 * 4 * 9


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "swin_t"])
def test_whole_networks_agree_with_fvcore(name: str) -> None:
    network = torchvision.models.get_model(name).eval()
    image = torch.zeros(1, 3, 224, 224)
    count = count_macs(lambda: network(image), network)
    reference = FlopCountAnalysis(network, image).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    operators = ("conv", "linear", "matmul", "addmm", "bmm", "einsum")
    assert count.macs == sum(reference.by_operator()[name] for name in operators)
    if name != "swin_t":  # its attention projects by functions, outside the modules that own the weights
        by_module = reference.by_module_and_operator()
        for path, macs in count.by_module.items():
            assert macs == sum(by_module[path].values()), path


NETWORK = nn.Sequential(
    nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)
).eval()
IMAGE = torch.zeros(1, 3, 8, 8)
MACS = {"0": 36 * 8 * 3 * 9, "4": 8 * 36 * 4}


def test_macs_are_attributed_to_the_innermost_module() -> None:
    nested = nn.ModuleDict({"body": nn.Sequential(NETWORK), "head": nn.Linear(4, 2)})

    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nested

        def forward(self, image: Tensor) -> Tensor:
            found: Tensor = self.parts["head"](self.parts["body"](image))
            return found @ torch.zeros(2, 5)

    detector = Detector()
    count = count_macs(lambda: detector(IMAGE), detector)
    expected = {f"parts.body.0.{path}": macs for path, macs in MACS.items()}
    assert count.by_module == {**expected, "parts.head": 8, TOP: 10}


def test_what_calculates_and_has_no_rule_is_named_and_what_only_moves_is_not() -> None:
    def forward() -> None:
        found = torch.cat([NETWORK[:3](IMAGE), torch.zeros(1, 8, 6, 6)]).transpose(0, 1).flatten(1)[:, ::2].clone()
        found.softmax(1).topk(2)
        torchvision.ops.nms(torch.zeros(3, 4), torch.zeros(3), 0.5)

    assert count_macs(forward).uncounted == {
        "aten::native_batch_norm": 1,
        "aten::relu": 1,
        "aten::_softmax": 1,
        "torchvision::nms": 1,
    }


def test_a_recurrent_network_is_never_silently_zero() -> None:
    layer = nn.LSTM(6, 5)
    count = count_macs(lambda: layer(torch.zeros(7, 1, 6)), layer)
    assert count.macs == 7 * 4 * 5 * (6 + 5) or "aten::mkldnn_rnn_layer" in count.uncounted


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("how", ["script", "trace", "freeze", "saved"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_torchscript_counts_as_the_module_it_was_made_from(how: str, mode: type) -> None:
    program = torch.jit.trace(NETWORK, IMAGE) if how == "trace" else torch.jit.script(NETWORK)
    if how == "freeze":
        program = torch.jit.freeze(program)
    if how == "saved":
        file = io.BytesIO()
        torch.jit.save(program, file)
        file.seek(0)
        program = torch.jit.load(file)
    with mode():
        for _ in range(3):  # the interpreter specialises after the first runs
            count = count_macs(lambda: program(IMAGE), program)
    assert count.macs == sum(MACS.values())
    assert count.by_module == (MACS if how != "freeze" else {TOP: count.macs})


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_torchscript_that_bypasses_the_dispatcher_is_not_counted_as_zero() -> None:
    program = torch.jit.optimize_for_inference(torch.jit.script(NETWORK))
    kinds = {node.kind() for node in program.inlined_graph.nodes()}
    unseen = count_macs(lambda: program(IMAGE), program).unseen
    assert ("prim::mkldnn_convolution" in kinds) == (unseen is not None)
    assert unseen is None or "prim::mkldnn_convolution" in unseen


def test_an_exported_program_counts_as_its_module() -> None:
    program = torch.export.export(NETWORK, (IMAGE,)).module()
    assert count_macs(lambda: program(IMAGE), program).by_module == MACS


@pytest.mark.filterwarnings("ignore")
def test_a_quantized_network_spends_as_many_macs_as_before() -> None:
    quantization = torch.ao.quantization
    plain = nn.Sequential(quantization.QuantStub(), nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4))
    plain.eval().qconfig = quantization.default_qconfig
    prepared = quantization.prepare(plain)
    prepared(IMAGE)
    quantized = quantization.convert(prepared)
    assert count_macs(lambda: quantized(IMAGE), quantized).by_module == {"1": MACS["0"], "4": MACS["4"]}


def test_the_count_depends_on_shapes_alone() -> None:
    counts = [count_macs(lambda: NETWORK(torch.randn(1, 3, 8, 8)), NETWORK) for _ in range(2)]
    assert counts[0] == counts[1]


def test_counting_does_not_import_the_compiler() -> None:
    """It takes longer to import than everything else that counting does."""
    command = (
        "import sys, torch\n"
        "from wildbench.measures.compute._torch_counter import count_macs\n"
        "layer = torch.nn.Conv2d(3, 16, 3)\n"
        "print(count_macs(lambda: layer(torch.zeros(1, 3, 8, 8)), layer).macs, 'torch._dynamo' in sys.modules)\n"
    )
    backend = "import wildbench.submissions.formats._torch_backend\n"  # as the detector's process does
    result = subprocess.run([sys.executable, "-c", backend + command], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["15552", "False"]
