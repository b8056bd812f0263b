-- Sequences go on after the rows that the generator numbered itself.

DO $$
DECLARE
    owned record;
    highest bigint;
BEGIN
    FOR owned IN
        SELECT d.refobjid::regclass AS relation, a.attname AS attribute, d.objid::regclass AS sequence
        FROM pg_depend AS d
        JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        JOIN pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
          AND d.deptype IN ('a', 'i')
    LOOP
        EXECUTE format('SELECT max(%I) FROM %s', owned.attribute, owned.relation) INTO highest;
        PERFORM setval(owned.sequence, highest) WHERE highest IS NOT NULL;
    END LOOP;
END $$;
SELECT setval('project_activity_id_seq', gen.project_activity());
SELECT setval('invoice_number_seq', 100000 + gen.invoices());
