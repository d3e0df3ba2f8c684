-- Run once, when the database is made: the gateways' role owns their database, and nothing else.
\set password `cat /run/secrets/postgres/password`
CREATE ROLE interlingua LOGIN PASSWORD :'password';
CREATE DATABASE interlingua OWNER interlingua;
REVOKE CONNECT ON DATABASE interlingua FROM PUBLIC;
