"""The planner's page: a plant, its region and its schedules in a local browser (extra `page`)."""
