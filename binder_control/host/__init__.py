"""The machine that Binder runs on: what it has, what it lacks, and how it gets it.

facts.py      what there is (values)          probe.py       reads them from the machine
plan.py       facts -> steps (pure)           machine.py     runs commands, as root where needed
engine.py     steps that install an engine    base_image.py  the step that makes binder-base
home.py       steps that write config, key    doctor.py      facts -> findings (pure)
"""
