.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench docs lock clean distclean

help:  ## what there is to do
	@sed -nE 's/^([a-z]+): .*## (.*)/make \1\t\2/p' Makefile | expand -t 18

setup:  ## everything that Naru needs; .venv/bin/naru works afterwards
	@scripts/setup

demo: setup  ## the whole story on this machine, unattended, with a report in out/
	.venv/bin/naru demo

test:  ## unit and integration tests, with real servers
	@scripts/setup test
	.venv/bin/pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

lint:  ## style, types, and the order of the rooms
	@scripts/setup dev
	scripts/lint

bench:  ## the benchmarks
	@scripts/setup dev
	scripts/bench

docs:  ## the reference pages that are made from the program
	@scripts/setup dev
	.venv/bin/python scripts/reference.py

lock:  ## the lock files in requirements/, anew from pyproject.toml
	scripts/lock

clean:  ## remove what was made, but not .venv nor the state of environments
	scripts/clean

distclean:  ## as clean, and .venv
	scripts/clean --all
