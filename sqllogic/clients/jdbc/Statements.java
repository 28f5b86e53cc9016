import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.PGStatement;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PSQLException;

/** Batches, generated keys, server-side statements, cursors by fetch size, updatable results, COPY. */
public class Statements extends Suite {
    private void insertMany(Connection over, int count) throws SQLException {
        try (PreparedStatement insert = over.prepareStatement("INSERT INTO t (i, x) VALUES (?, ?)")) {
            for (int i = 0; i < count; i++) {
                insert.setInt(1, i);
                insert.setString(2, "x" + i);
                insert.addBatch();
            }
            same(count, insert.executeBatch().length);
        }
    }

    public void testBatches() throws Exception {
        run("CREATE TABLE t (i int PRIMARY KEY, x text)");
        insertMany(conn, 1000);
        same(List.of("1000|499500|x999"), rows("SELECT count(*), sum(i), max(x) FROM t"));
        try (PreparedStatement update = conn.prepareStatement("UPDATE t SET x = ? WHERE i < ?")) {
            update.setString(1, "a");
            update.setInt(2, 10);
            update.addBatch();
            update.setString(1, "b");
            update.setInt(2, 5);
            update.addBatch();
            same(new int[] {10, 5}, update.executeBatch());
        }
        try (Statement mixed = conn.createStatement()) {
            mixed.addBatch("DELETE FROM t WHERE i > 500");
            mixed.addBatch("INSERT INTO t VALUES (5000, 'c')");
            same(new int[] {499, 1}, mixed.executeBatch());
        }
    }

    public void testRewrittenBatches() throws Exception {
        run("CREATE TABLE t (i int PRIMARY KEY, x text)");
        try (Connection rewriting = connect("reWriteBatchedInserts", "true")) {
            insertMany(rewriting, 1000);
        }
        same(List.of("1000|499500"), rows("SELECT count(*), sum(i) FROM t"));
    }

    public void testABatchThatFails() throws Exception {
        run("CREATE TABLE t (i int PRIMARY KEY)");
        conn.setAutoCommit(false);
        try (PreparedStatement insert = conn.prepareStatement("INSERT INTO t VALUES (?)")) {
            for (int i : new int[] {1, 2, 1}) {
                insert.setInt(1, i);
                insert.addBatch();
            }
            BatchUpdateException error = (BatchUpdateException) fails("23505", insert::executeBatch);
            same(true, error.getMessage().contains("t_pkey"));
        }
        conn.rollback();
        same(List.of("0"), rows("SELECT count(*) FROM t"));
    }

    public void testGeneratedKeys() throws Exception {
        run("CREATE TABLE t (id serial PRIMARY KEY, x text, made date DEFAULT '2024-01-01')");
        try (PreparedStatement insert = conn.prepareStatement("INSERT INTO t (x) VALUES (?), (?)", Statement.RETURN_GENERATED_KEYS)) {
            insert.setString(1, "a");
            insert.setString(2, "b");
            same(2, insert.executeUpdate());
            same(List.of("1|a|2024-01-01", "2|b|2024-01-01"), rows(insert.getGeneratedKeys()));
        }
        try (PreparedStatement insert = conn.prepareStatement("INSERT INTO t (x) VALUES (?)", new String[] {"id"})) {
            for (String x : List.of("c", "d", "e")) {
                insert.setString(1, x);
                insert.addBatch();
            }
            insert.executeBatch();
            same(List.of("3", "4", "5"), rows(insert.getGeneratedKeys()));
        }
    }

    public void testTheSwitchToServerStatements() throws Exception {
        run("CREATE TABLE t (i int, x text)", "INSERT INTO t VALUES (1, 'a')");
        try (PreparedStatement select = conn.prepareStatement("SELECT * FROM t WHERE i = ?")) {
            PGStatement server = select.unwrap(PGStatement.class);
            server.setPrepareThreshold(3);
            for (int i = 0; i < 6; i++) {
                same(i >= 2, server.isUseServerPrepare());
                select.setInt(1, 1);
                same(List.of("1|a"), rows(select.executeQuery()));
            }
            same(List.of("SELECT * FROM t WHERE i = $1"),
                rows("SELECT statement FROM pg_prepared_statements WHERE name LIKE 'S\\_%' AND statement LIKE 'SELECT * FROM t%'"));
            // The driver prepares it again: by itself where no transaction is open.
            run("ALTER TABLE t ADD COLUMN y int DEFAULT 7");
            same(List.of("1|a|7"), rows(select.executeQuery()));
            run("DEALLOCATE ALL");
            same(List.of("1|a|7"), rows(select.executeQuery()));
        }
    }

    public void testFetchSize() throws Exception {
        run("CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) i");
        conn.setAutoCommit(false);
        try (Statement select = conn.createStatement()) {
            select.setFetchSize(64);
            ResultSet result = select.executeQuery("SELECT i FROM t ORDER BY i");
            long sum = 0;
            while (result.next()) {
                sum += result.getInt(1);
                if (result.getRow() == 100) {
                    run("DELETE FROM t WHERE i > 500");
                }
            }
            same(500500L, sum);
            select.setMaxRows(10);
            same(10, rows(select.executeQuery("SELECT i FROM t")).size());
        }
        conn.rollback();
    }

    public void testScrollingAndUpdatableResults() throws Exception {
        run("CREATE TABLE t (i int PRIMARY KEY, x text)", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
        try (Statement select = conn.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet result = select.executeQuery("SELECT i, x FROM t ORDER BY i");
            result.last();
            same(3, result.getRow());
            result.absolute(2);
            result.updateString("x", "new");
            result.updateRow();
            result.absolute(1);
            result.deleteRow();
            result.moveToInsertRow();
            result.updateInt("i", 9);
            result.updateString("x", "nine");
            result.insertRow();
        }
        same(List.of("2|new", "3|c", "9|nine"), rows("SELECT * FROM t ORDER BY i"));
    }

    public void testMetadataOfStatements() throws Exception {
        run("CREATE TABLE t (i int NOT NULL, x varchar(20), n numeric(8,2))");
        try (PreparedStatement select = conn.prepareStatement("SELECT i, x, n, n * 2 AS twice FROM t WHERE i > ? AND x = ?")) {
            ResultSetMetaData columns = select.getMetaData();
            same(4, columns.getColumnCount());
            same("t", ((org.postgresql.PGResultSetMetaData) columns).getBaseTableName(2));
            same("varchar", columns.getColumnTypeName(2));
            same(20, columns.getPrecision(2));
            same(2, columns.getScale(3));
            same(ResultSetMetaData.columnNoNulls, columns.isNullable(1));
            same(ResultSetMetaData.columnNullable, columns.isNullable(2));
            ParameterMetaData parameters = select.getParameterMetaData();
            same("int4", parameters.getParameterTypeName(1));
            same("text", parameters.getParameterTypeName(2));
        }
    }

    public void testCopy() throws Exception {
        run("CREATE TABLE t (i int, x text)");
        CopyManager copy = conn.unwrap(PGConnection.class).getCopyAPI();
        same(3L, copy.copyIn("COPY t FROM STDIN", new StringReader("1\ta\n2\t\\N\n3\tc\\td\n")));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        same(3L, copy.copyOut("COPY (SELECT * FROM t ORDER BY i DESC) TO STDOUT (FORMAT csv, HEADER)", out));
        same("i,x\n3,c\td\n2,\n1,a\n", out.toString(StandardCharsets.UTF_8));
        SQLException error = fails("22P02", () -> copy.copyIn("COPY t FROM STDIN", new StringReader("1\ta\nx\tb\n")));
        same("COPY t, line 2, column i: \"x\"", ((PSQLException) error).getServerErrorMessage().getWhere());
        same(List.of("3"), rows("SELECT count(*) FROM t"));
    }

    public void testSeveralStatementsAtOnce() throws Exception {
        try (Statement statement = conn.createStatement()) {
            same(false, statement.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1), (2); SELECT * FROM t"));
            same(false, statement.getMoreResults());
            same(2, statement.getUpdateCount());
            same(true, statement.getMoreResults());
            same(List.of("1", "2"), rows(statement.getResultSet()));
        }
    }
}
