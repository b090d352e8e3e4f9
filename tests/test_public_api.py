"""The contents page, pinned."""

import subprocess
import sys

import wildbench

PUBLIC = [
    "CATEGORIES",
    "CurationError",
    "Dataset",
    "DatasetError",
    "Detections",
    "DetectorCrashed",
    "DetectorError",
    "DetectorOutOfMemory",
    "DetectorTimedOut",
    "DownloadError",
    "Evaluator",
    "Figure",
    "Grouping",
    "JobError",
    "Labels",
    "Manifest",
    "MissingExtra",
    "OutputError",
    "PluginError",
    "PredictionsError",
    "RecipeError",
    "Scorecard",
    "ScorecardError",
    "SubmissionError",
    "UnjailedSubmission",
    "WildbenchError",
    "WrongOutput",
    "agree",
    "compare",
    "compress",
    "detect",
    "evaluate",
    "explain",
    "inspect_submission",
    "load_dataset",
    "merge",
    "read_scorecard",
    "save_submission",
    "score",
    "train",
]


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_the_public_names_are_these() -> None:
    assert sorted(wildbench.__all__) == PUBLIC
    assert sorted(dir(wildbench)) == PUBLIC


def test_every_public_name_resolves_and_is_documented() -> None:
    for name in PUBLIC:
        thing = getattr(wildbench, name)
        assert thing is not None
        if callable(thing):
            assert thing.__doc__, name


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = run_python("import sys, wildbench; print([m for m in ('torch', 'numpy', 'pandas') if m in sys.modules])")
    assert heavy.strip() == "[]"


def test_evaluate_stays_a_function_after_its_module_is_imported() -> None:
    assert run_python("import wildbench.evaluation, wildbench; print(callable(wildbench.evaluate))").strip() == "True"
