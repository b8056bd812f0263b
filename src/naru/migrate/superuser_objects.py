"""Objects that only superusers can make, and that no extension brings."""

from __future__ import annotations

SUPERUSER_OBJECTS = """
SELECT o.name FROM (
    SELECT 'function ' || n.nspname || '.' || p.proname || '()',
           'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE (NOT l.lanpltrusted OR p.proleakproof) AND n.nspname !~ '^pg_'
    UNION ALL
    SELECT 'type ' || n.nspname || '.' || t.typname, 'pg_catalog.pg_type', t.oid
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype = 'b' AND t.typcategory <> 'A' AND n.nspname !~ '^pg_'
    UNION ALL
    SELECT 'operator class ' || opcname, 'pg_catalog.pg_opclass', oid FROM pg_catalog.pg_opclass
    UNION ALL
    SELECT 'operator family ' || opfname, 'pg_catalog.pg_opfamily', oid
    FROM pg_catalog.pg_opfamily
    UNION ALL
    SELECT 'access method ' || amname, 'pg_catalog.pg_am', oid FROM pg_catalog.pg_am
    UNION ALL
    SELECT 'language ' || lanname, 'pg_catalog.pg_language', oid FROM pg_catalog.pg_language
    UNION ALL
    SELECT 'foreign data wrapper ' || fdwname, 'pg_catalog.pg_foreign_data_wrapper', oid
    FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL
    SELECT 'text search template ' || tmplname, 'pg_catalog.pg_ts_template', oid
    FROM pg_catalog.pg_ts_template
    UNION ALL
    SELECT 'text search parser ' || prsname, 'pg_catalog.pg_ts_parser', oid
    FROM pg_catalog.pg_ts_parser
    UNION ALL
    SELECT 'cast from ' || pg_catalog.format_type(castsource, NULL), 'pg_catalog.pg_cast', oid
    FROM pg_catalog.pg_cast WHERE castmethod = 'b'
) AS o (name, catalog, oid)
WHERE o.oid >= 16384 AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend e
    WHERE e.classid = o.catalog AND e.objid = o.oid AND e.deptype = 'e')
"""
"""Rows of one column, `name`. Functions in a language that is not trusted are among them, and
functions that are LEAKPROOF."""
