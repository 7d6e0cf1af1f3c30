"""Triggers: schedules and what happens in repositories, which start templates."""
