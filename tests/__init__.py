"""Tests of Naru."""
