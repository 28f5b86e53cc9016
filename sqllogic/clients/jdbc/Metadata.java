import java.sql.DatabaseMetaData;
import java.sql.SQLException;
import java.util.List;

/** DatabaseMetaData: what tools and mappers ask about tables, columns, keys and indexes. */
public class Metadata extends Suite {
    private DatabaseMetaData make() throws SQLException {
        run("""
            CREATE TABLE parent (
                a int, b varchar(10) NOT NULL, score numeric(8,3) DEFAULT 1.5,
                made timestamptz DEFAULT now(), flag bool NOT NULL DEFAULT false,
                PRIMARY KEY (b, a), CONSTRAINT one_score UNIQUE (score))""",
            """
            CREATE TABLE child (
                id serial PRIMARY KEY, big bigint GENERATED ALWAYS AS IDENTITY, pa int, pb varchar(10), tags text[],
                twice int GENERATED ALWAYS AS (pa * 2) STORED,
                CONSTRAINT to_parent FOREIGN KEY (pb, pa) REFERENCES parent ON UPDATE CASCADE ON DELETE SET NULL)""",
            "CREATE INDEX by_tags ON child (tags, pa DESC)",
            "CREATE INDEX lowered ON child (lower(pb)) WHERE pa > 0",
            "CREATE VIEW seen AS SELECT a, b FROM parent",
            "CREATE TYPE mood AS ENUM ('sad', 'ok')",
            "CREATE DOMAIN small AS int",
            "COMMENT ON TABLE parent IS 'it''s the parent'",
            "COMMENT ON COLUMN parent.a IS 'first'");
        return conn.getMetaData();
    }

    public void testTheServer() throws Exception {
        DatabaseMetaData found = conn.getMetaData();
        same("PostgreSQL", found.getDatabaseProductName());
        same(15, found.getDatabaseMajorVersion());
        same(DSN.get("user"), found.getUserName());
        same(63, found.getMaxColumnNameLength());
        same(true, found.getSQLKeywords().contains("ilike"));
    }

    public void testTablesAndSchemas() throws Exception {
        DatabaseMetaData found = make();
        same(List.of("child|TABLE|null", "parent|TABLE|it's the parent", "seen|VIEW|null"),
            rows(found.getTables(null, schema, "%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME", "TABLE_TYPE", "REMARKS").stream().sorted().toList());
        same(List.of("child_id_seq", "child_big_seq").stream().sorted().toList(),
            rows(found.getTables(null, schema, "child%", new String[] {"SEQUENCE"}), "TABLE_NAME").stream().sorted().toList());
        same(true, rows(found.getSchemas(), "TABLE_SCHEM").containsAll(List.of(schema, "information_schema", "pg_catalog", "public")));
        same(List.of(schema), rows(found.getSchemas(null, schema), "TABLE_SCHEM"));
        same(true, rows(found.getCatalogs()).contains(DSN.get("dbname")));
        same(true, rows(found.getTableTypes()).contains("MATERIALIZED VIEW"));
    }

    public void testColumns() throws Exception {
        DatabaseMetaData found = make();
        same(List.of(
                "a|int4|10|0|NO|null|1|first|NO|NO",
                "b|varchar|10|0|NO|null|2|null|NO|NO",
                "score|numeric|8|3|YES|1.5|3|null|NO|NO",
                "made|timestamptz|35|6|YES|now()|4|null|NO|NO",
                "flag|bool|1|0|NO|false|5|null|NO|NO"),
            rows(found.getColumns(null, schema, "parent", null), "COLUMN_NAME", "TYPE_NAME", "COLUMN_SIZE",
                "DECIMAL_DIGITS", "IS_NULLABLE", "COLUMN_DEF", "ORDINAL_POSITION", "REMARKS", "IS_AUTOINCREMENT",
                "IS_GENERATEDCOLUMN"));
        same(List.of("id|serial|YES|NO", "big|int8|YES|NO", "pa|int4|NO|NO", "pb|varchar|NO|NO", "tags|_text|NO|NO", "twice|int4|NO|YES"),
            rows(found.getColumns(null, schema, "child", "%"), "COLUMN_NAME", "TYPE_NAME", "IS_AUTOINCREMENT", "IS_GENERATEDCOLUMN"));
    }

    public void testKeys() throws Exception {
        DatabaseMetaData found = make();
        same(List.of("a|2|parent_pkey", "b|1|parent_pkey"),
            rows(found.getPrimaryKeys(null, schema, "parent"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME").stream().sorted().toList());
        List<String> key = List.of(
            "parent|b|child|pb|1|%d|%d|to_parent|parent_pkey".formatted(DatabaseMetaData.importedKeyCascade, DatabaseMetaData.importedKeySetNull),
            "parent|a|child|pa|2|%d|%d|to_parent|parent_pkey".formatted(DatabaseMetaData.importedKeyCascade, DatabaseMetaData.importedKeySetNull));
        String[] columns = {"PKTABLE_NAME", "PKCOLUMN_NAME", "FKTABLE_NAME", "FKCOLUMN_NAME", "KEY_SEQ", "UPDATE_RULE", "DELETE_RULE", "FK_NAME", "PK_NAME"};
        same(key, rows(found.getImportedKeys(null, schema, "child"), columns));
        same(key, rows(found.getExportedKeys(null, schema, "parent"), columns));
        same(key, rows(found.getCrossReference(null, schema, "parent", null, schema, "child"), columns));
        same(List.of("b", "a").stream().sorted().toList(),
            rows(found.getBestRowIdentifier(null, schema, "parent", DatabaseMetaData.bestRowSession, false), "COLUMN_NAME").stream().sorted().toList());
    }

    public void testIndexes() throws Exception {
        DatabaseMetaData found = make();
        String[] columns = {"INDEX_NAME", "NON_UNIQUE", "ORDINAL_POSITION", "COLUMN_NAME", "ASC_OR_DESC", "FILTER_CONDITION"};
        same(List.of(
                "child_pkey|f|1|id|A|null",
                "by_tags|t|1|tags|A|null",
                "by_tags|t|2|pa|D|null",
                "lowered|t|1|lower((pb)::text)|A|(pa > 0)"),
            rows(found.getIndexInfo(null, schema, "child", false, true), columns));
        same(List.of("one_score", "parent_pkey"),
            rows(found.getIndexInfo(null, schema, "parent", true, true), "INDEX_NAME").stream().distinct().sorted().toList());
    }

    public void testTypesFunctionsAndPrivileges() throws Exception {
        DatabaseMetaData found = make();
        List<String> types = rows(found.getTypeInfo(), "TYPE_NAME");
        same(true, types.containsAll(List.of("int4", "text", "jsonb", "numeric", "timestamptz", "uuid")));
        same(List.of("small"), rows(found.getUDTs(null, schema, "sm%", null), "TYPE_NAME"));
        same(true, rows(found.getFunctions(null, "pg_catalog", "lower"), "FUNCTION_NAME").contains("lower"));
        same(true, rows(found.getTablePrivileges(null, schema, "parent"), "GRANTEE", "PRIVILEGE").contains(DSN.get("user") + "|SELECT"));
        same(true, rows(found.getColumnPrivileges(null, schema, "parent", "a"), "PRIVILEGE").contains("UPDATE"));
    }
}
