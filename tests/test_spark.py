"""The caller's Spark frames stay on Spark, and give the same numbers as DuckDB."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest

import mesostats as ms
from mesostats.dataset import Dataset
from mesostats.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java, which is not installed", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def spark() -> Iterator[pyspark.sql.SparkSession]:
    from pyspark.sql import SparkSession  # noqa: PLC0415 - only where Java is there

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def clinics(
    spark: pyspark.sql.SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Dataset, Dataset]:
    local = ms.simulate(80, seed=3)
    folder = local.write(tmp_path_factory.mktemp("spark") / "clinic")
    frames = {name: spark.read.parquet(str(folder / f"{name}.parquet")) for name in local.names}
    return local, Dataset(**frames, cutoff=local.cutoff)


@pytest.mark.parametrize(
    "analysis",
    [
        ms.session_states,
        lambda clinic: ms.retention(clinic, by="indication").estimates,
        lambda clinic: ms.dropout_by_session(clinic).estimates,
        lambda clinic: ms.response(clinic).estimates,
        lambda clinic: ms.response(clinic, endpoint=60).estimates,
        lambda clinic: ms.adverse_event_rates(clinic, of="term", per="session").estimates,
        lambda clinic: ms.adverse_event_rates(clinic, by="lot", per="patient_month", of="class").estimates,
        lambda clinic: ms.adverse_event_profile(clinic, by="sex").estimates,
        lambda clinic: (
            ms.compare_adverse_events(clinic, group="sex", strata="indication", of="any").estimates
        ),
        lambda clinic: ms.cumulative_incidence(clinic, by="sex").estimates,
        lambda clinic: ms.mean_cumulative_events(clinic, by="sex").estimates,
        lambda clinic: ms.event_durations(clinic).estimates,
        lambda clinic: ms.onset_after_session(clinic).estimates,
        lambda clinic: ms.signals(clinic, by="practitioner_id", of="any").estimates,
        lambda clinic: ms.care_rule_effects(clinic).estimates,
    ],
    ids=[
        "session_states",
        "retention",
        "dropout_by_session",
        "response",
        "response_at_day",
        "adverse_event_rates",
        "rates_by_lot_and_month",
        "profile",
        "comparison",
        "cumulative_incidence",
        "mean_cumulative_events",
        "event_durations",
        "onset_after_session",
        "signals",
        "care_rules",
    ],
)
def test_spark_gives_the_same_numbers(
    clinics: tuple[Dataset, Dataset], analysis: Callable[[Dataset], pd.DataFrame]
) -> None:
    local, on_spark = clinics
    pd.testing.assert_frame_equal(analysis(on_spark), analysis(local), check_dtype=False)


def test_tables_stay_on_spark(clinics: tuple[Dataset, Dataset]) -> None:
    native = clinics[1].lazy("sessions").to_native()
    assert type(native).__module__.startswith("pyspark.sql")


def test_validation_runs_on_spark(clinics: tuple[Dataset, Dataset]) -> None:
    local, on_spark = (ms.validate(clinic).counts for clinic in clinics)
    pd.testing.assert_frame_equal(on_spark, local, check_dtype=False)


def test_a_spark_column_of_another_type_is_one_clear_line(spark: pyspark.sql.SparkSession) -> None:
    patients = spark.createDataFrame([(1,)], "patient_id int")
    with pytest.raises(SchemaError, match="Spark column 'patient_id' is Int32, expected string; cast it"):
        Dataset(patients=patients, courses=patients, sessions=patients)
