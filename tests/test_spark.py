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
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        # The tables are tiny: compiling queries, and planning them anew as they run, costs far more than it saves.
        .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .config("spark.sql.adaptive.enabled", "false")
        # One session serves all tests: what it keeps to show of past queries would fill the memory.
        .config("spark.driver.memory", "3g")
        .config("spark.sql.ui.retainedExecutions", "1")
        .config("spark.ui.retainedJobs", "1")
        .config("spark.ui.retainedStages", "1")
        .config("spark.sql.maxPlanStringLength", "1000")
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


ANALYSES: dict[str, Callable[[Dataset], pd.DataFrame]] = {
    "session_states": ms.session_states,
    "planned session_states": lambda clinic: ms.session_states(clinic, anchor="plan"),
    "course_states": ms.course_states,
    "adherence": lambda clinic: ms.adherence(clinic, by=["phase", "practitioner_id"]).estimates,
    "session_gaps": lambda clinic: ms.session_gaps(clinic).estimates,
    "sessions_received": lambda clinic: ms.sessions_received(clinic, by="protocol").estimates,
    "phase_switches": ms.phase_switches,
    "retention": lambda clinic: ms.retention(clinic, by="indication").estimates,
    "retention in days": lambda clinic: (
        ms.retention(clinic, by="sex", time="day", strata="protocol").estimates
    ),
    "dropout_by_session": lambda clinic: ms.dropout_by_session(clinic).estimates,
    "hazard_by_phase": lambda clinic: ms.hazard_by_phase(clinic).estimates,
    "dropout_reasons": lambda clinic: ms.dropout_reasons(clinic, by="sex").estimates,
    "disposition": lambda clinic: ms.disposition(clinic, by="sex").estimates,
    "patient_flow": lambda clinic: ms.patient_flow(clinic, by="sex").estimates,
    "return_for_repeat": lambda clinic: ms.return_for_repeat(clinic).estimates,
    "dropout_model": lambda clinic: ms.dropout_model(clinic, covariates=["phase", "side_effect"]).estimates,
    "before_stopping": lambda clinic: ms.before_stopping(clinic).estimates,
    "response": lambda clinic: ms.response(clinic).estimates,
    "response at a day": lambda clinic: ms.response(clinic, endpoint=60).estimates,
    "missing outcomes": lambda clinic: (
        ms.response_scenarios(clinic, instrument=["masi", "fine_lines"]).estimates
    ),
    "tipping point": lambda clinic: (
        ms.tipping_point(clinic, group="arm", instrument="masi", steps=3).estimates
    ),
    "response compared": lambda clinic: (
        ms.compare_response(clinic, instrument="masi", strata="sex").estimates
    ),
    "grades": lambda clinic: ms.compare_grades(clinic, instrument="fine_lines").estimates,
    "change": lambda clinic: ms.change_from_baseline(clinic, group="arm", instrument="masi").estimates,
    "change by visit": lambda clinic: (
        ms.change_by_visit(clinic, visits=[30, 90], instrument="masi").estimates
    ),
    "time to response": lambda clinic: ms.time_to_response(clinic, instrument="masi").estimates,
    "durability": lambda clinic: ms.durability(clinic, instrument="masi").estimates,
    "response by sessions": lambda clinic: ms.response_by_sessions(clinic, instrument="masi").estimates,
    "baseline table": lambda clinic: (
        ms.baseline_table(
            clinic, by="arm", variables=["sex", "birth_year", "indication", "planned_sessions"]
        ).estimates
    ),
    "side effects by session": lambda clinic: (
        ms.adverse_event_rates(clinic, of="term", per="session").estimates
    ),
    "side effects by lot and month": lambda clinic: (
        ms.adverse_event_rates(clinic, by="lot", per="patient_month").estimates
    ),
    "where": lambda clinic: (
        ms.retention(clinic.where(sex="female", started=("2023-06-01", None)), by="indication").estimates
    ),
    "profile": lambda clinic: ms.adverse_event_profile(clinic, by="sex").estimates,
    "comparison": lambda clinic: (
        ms.compare_adverse_events(clinic, group="sex", strata="indication", of="any").estimates
    ),
    "cumulative_incidence": lambda clinic: ms.cumulative_incidence(clinic, by="sex").estimates,
    "mean_cumulative_events": lambda clinic: ms.mean_cumulative_events(clinic, by="sex").estimates,
    "event_durations": lambda clinic: ms.event_durations(clinic).estimates,
    "onset_after_session": lambda clinic: ms.onset_after_session(clinic).estimates,
    "signals": lambda clinic: ms.signals(clinic, by="practitioner_id", of="any").estimates,
    "care_rules": lambda clinic: ms.care_rule_effects(clinic).estimates,
}


@pytest.mark.parametrize("analysis", ANALYSES.values(), ids=ANALYSES.keys())
def test_spark_gives_the_same_numbers(
    clinics: tuple[Dataset, Dataset], analysis: Callable[[Dataset], pd.DataFrame]
) -> None:
    local, on_spark = clinics
    pd.testing.assert_frame_equal(analysis(on_spark), analysis(local), check_dtype=False)


def test_tables_stay_on_spark(clinics: tuple[Dataset, Dataset]) -> None:
    native = clinics[1].lazy("sessions").to_native()
    assert type(native).__module__.startswith("pyspark.sql")


def test_a_part_stays_on_spark(clinics: tuple[Dataset, Dataset]) -> None:
    local, on_spark = (clinic.where(arm="A", started=(None, "2024-12-31")) for clinic in clinics)
    assert type(on_spark.lazy("products").to_native()).__module__.startswith("pyspark.sql")
    for name in local.names:
        assert 0 < len(local.table(name)) == len(on_spark.table(name))


def test_validation_runs_on_spark(clinics: tuple[Dataset, Dataset]) -> None:
    local, on_spark = (ms.validate(clinic).counts for clinic in clinics)
    pd.testing.assert_frame_equal(on_spark, local, check_dtype=False)


def test_a_spark_column_of_another_type_is_one_clear_line(spark: pyspark.sql.SparkSession) -> None:
    patients = spark.createDataFrame([(1,)], "patient_id int")
    with pytest.raises(SchemaError, match="Spark column 'patient_id' is Int32, expected string; cast it"):
        Dataset(patients=patients, courses=patients, sessions=patients)
