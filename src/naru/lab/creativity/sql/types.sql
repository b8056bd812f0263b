-- Extensions, schemas, types, standalone sequences, and the functions that defaults need.

CREATE EXTENSION pg_trgm;
CREATE EXTENSION btree_gist;
CREATE EXTENSION citext;
CREATE EXTENSION pgcrypto;

CREATE SCHEMA analytics;

CREATE TYPE user_status AS ENUM ('invited', 'active', 'dormant', 'suspended', 'left');
CREATE TYPE user_role AS ENUM ('viewer', 'member', 'editor', 'owner', 'admin');
CREATE TYPE project_status AS ENUM ('draft', 'active', 'paused', 'completed', 'archived');
CREATE TYPE activity_kind AS ENUM
    ('created', 'edited', 'commented', 'uploaded', 'joined', 'status', 'viewed', 'shared');
ALTER TYPE project_status ADD VALUE 'review' AFTER 'active';

CREATE TYPE postal_address AS (postcode varchar(5), city text, street text, detail text);

CREATE DOMAIN phone_number AS varchar(20) CHECK (VALUE ~ '^[0-9]{2,3}-[0-9]{3,4}-[0-9]{4}$');
CREATE DOMAIN krw AS numeric(14, 0) CHECK (VALUE >= 0);
CREATE DOMAIN slug AS text COLLATE "C" NOT NULL CHECK (VALUE = lower(VALUE) AND VALUE !~ '\s');

CREATE SEQUENCE project_activity_id_seq AS bigint CACHE 20;
CREATE SEQUENCE invoice_number_seq AS bigint START 100001 INCREMENT 1 MINVALUE 100001;

-- An invoice's number comes from a sequence that no column owns.
CREATE FUNCTION next_invoice_number() RETURNS text VOLATILE LANGUAGE sql
    AS $$ SELECT 'INV-' || lpad(nextval('public.invoice_number_seq')::text, 10, '0') $$;

CREATE FUNCTION is_business_number(digits text) RETURNS boolean IMMUTABLE LANGUAGE sql
    AS $$ SELECT digits ~ '^[0-9]{3}-[0-9]{2}-[0-9]{5}$' $$;
