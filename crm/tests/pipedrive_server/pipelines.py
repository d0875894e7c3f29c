"""Pipelines and their stages."""

from typing import Any

from crm.tests.pipedrive_server.refusals import Refused
from crm.tests.pipedrive_server.world import By, Object, World

STAGES = ("Qualified", "Contact made", "Demo scheduled", "Proposal made", "Negotiations started")


def create(world: World, name: str, by: By, stages: tuple[str, ...] | list[str] = ()) -> Object:
    pipeline = world.add(
        "pipeline",
        {
            "id": world.new_id("pipeline"),
            "name": name,
            "order_nr": len(world.tables["pipeline"]),
            "is_deleted": False,
            "is_deal_probability_enabled": False,
        },
        by,
    )
    for each in stages:
        create_stage(world, each, pipeline["id"], by)
    return pipeline


def create_stage(world: World, name: str, pipeline_id: int, by: By) -> Object:
    world.find("pipeline", pipeline_id)
    return world.add(
        "stage",
        {
            "id": world.new_id("stage"),
            "order_nr": len(stages_of(world, pipeline_id)) + 1,
            "name": name,
            "is_deleted": False,
            "deal_probability": 100,
            "pipeline_id": pipeline_id,
            "is_deal_rot_enabled": False,
            "days_to_rotten": None,
        },
        by,
    )


def stages_of(world: World, pipeline_id: int) -> list[Object]:
    """In their order."""
    rows = [stage for stage in world.living("stage") if stage["pipeline_id"] == pipeline_id]
    return sorted(rows, key=lambda stage: stage["order_nr"])


def delete(world: World, id: int, by: By) -> None:
    """With its stages; its deals stay as they are."""
    world.find("pipeline", id)
    for stage in stages_of(world, id):
        world.delete("stage", stage["id"], by)
    world.delete("pipeline", id, by)


def placed(world: World, body: Object, before: Object) -> Object:
    """Where a deal stands after a body that may name a stage, a pipeline, both or none. Raises Refused."""
    stage_id, pipeline_id = body.get("stage_id"), body.get("pipeline_id")
    if stage_id is not None:
        if stage_id != before.get("stage_id"):
            world.must_know("stage", stage_id, "stage_id")
        own = world.tables["stage"][stage_id]["pipeline_id"]
        if pipeline_id not in (None, own):
            raise Refused(f"Validation failed: stage_id: stage {stage_id} is not of pipeline {pipeline_id}")
        return {"stage_id": stage_id, "pipeline_id": own}
    if pipeline_id is not None and pipeline_id != before.get("pipeline_id"):
        world.must_know("pipeline", pipeline_id, "pipeline_id")
        return _first(world, pipeline_id)
    if before.get("stage_id"):
        return {}
    pipelines = world.living("pipeline")
    if not pipelines:
        raise Refused("Validation failed: there is no pipeline")
    return _first(world, pipelines[0]["id"])


def _first(world: World, pipeline_id: int) -> dict[str, Any]:
    stages = stages_of(world, pipeline_id)
    if not stages:
        raise Refused(f"Validation failed: pipeline_id: pipeline {pipeline_id} has no stages")
    return {"stage_id": stages[0]["id"], "pipeline_id": pipeline_id}
