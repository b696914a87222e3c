"""Downloads: shared records that provider plugins work on."""
