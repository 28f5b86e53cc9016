import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** Transactions, savepoints, isolation, cancelling, notifications, warnings, what errors carry. */
public class Sessions extends Suite {
    public void testTransactionsAndSavepoints() throws Exception {
        run("CREATE TABLE t (i int PRIMARY KEY)");
        conn.setAutoCommit(false);
        run("INSERT INTO t VALUES (1)");
        Savepoint point = conn.setSavepoint("one more");
        run("INSERT INTO t VALUES (2)");
        fails("23505", () -> run("INSERT INTO t VALUES (1)"));
        fails("25P02", () -> run("SELECT 1"));
        conn.rollback(point);
        run("INSERT INTO t VALUES (3)");
        conn.releaseSavepoint(conn.setSavepoint());
        try (Connection other = connect(); Statement statement = other.createStatement()) {
            same(List.of(), rows(statement.executeQuery("SELECT * FROM t")));
            conn.commit();
            same(List.of("1", "3"), rows(statement.executeQuery("SELECT * FROM t ORDER BY i")));
        }
        run("DELETE FROM t");
        conn.rollback();
        conn.setAutoCommit(true);
        same(List.of("2"), rows("SELECT count(*) FROM t"));
    }

    public void testSavepointsByThemselves() throws Exception {
        run("CREATE TABLE t (i int PRIMARY KEY)");
        try (Connection saving = connect("autosave", "always"); Statement statement = saving.createStatement()) {
            saving.setAutoCommit(false);
            statement.executeUpdate("INSERT INTO t VALUES (1)");
            fails("23505", () -> statement.executeUpdate("INSERT INTO t VALUES (1)"));
            statement.executeUpdate("INSERT INTO t VALUES (2)");
            saving.commit();
        }
        same(List.of("2"), rows("SELECT count(*) FROM t"));
    }

    public void testIsolationAndReadOnly() throws Exception {
        run("CREATE TABLE t (i int)");
        same(Connection.TRANSACTION_READ_COMMITTED, conn.getTransactionIsolation());
        conn.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        conn.setAutoCommit(false);
        same(List.of("0"), rows("SELECT count(*) FROM t"));
        try (Connection other = connect(); Statement statement = other.createStatement()) {
            statement.execute("INSERT INTO t VALUES (1)");
        }
        same(List.of("0"), rows("SELECT count(*) FROM t"));
        conn.commit();
        conn.setReadOnly(true);
        fails("25006", () -> run("INSERT INTO t VALUES (2)"));
        conn.rollback();
        conn.setReadOnly(false);
        run("INSERT INTO t VALUES (2)");
        conn.commit();
        same(List.of("2"), rows("SELECT count(*) FROM t"));
        conn.rollback();
    }

    public void testCancelling() throws Exception {
        try (Statement sleeping = conn.createStatement()) {
            sleeping.setQueryTimeout(1);
            same("canceling statement due to user request",
                ((PSQLException) fails("57014", () -> sleeping.executeQuery("SELECT pg_sleep(60)"))).getServerErrorMessage().getMessage());
            sleeping.setQueryTimeout(0);
            CompletableFuture<Void> running = CompletableFuture.runAsync(() -> {
                try {
                    sleeping.executeQuery("SELECT pg_sleep(60)");
                } catch (SQLException error) {
                    throw new CompletionException(error);
                }
            });
            // The driver asks once for each execution: it must have begun.
            int sleeper = conn.unwrap(PGConnection.class).getBackendPID();
            try (Connection other = connect(); Statement activity = other.createStatement()) {
                String asleep = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(60)' AND pid = " + sleeper;
                while (rows(activity.executeQuery(asleep)).isEmpty()) {
                    Thread.onSpinWait();
                }
            }
            sleeping.cancel();
            same("57014", running.handle((done, error) -> ((SQLException) error.getCause()).getSQLState()).get());
        }
        same(List.of("1"), rows("SELECT 1"));
    }

    public void testNotifications() throws Exception {
        run("LISTEN news");
        try (Connection other = connect(); Statement statement = other.createStatement()) {
            statement.execute("NOTIFY news, 'fresh'");
            int sender = other.unwrap(PGConnection.class).getBackendPID();
            PGNotification[] heard = conn.unwrap(PGConnection.class).getNotifications(30_000);
            same(1, heard.length);
            same(List.of("news", "fresh", sender), List.of(heard[0].getName(), heard[0].getParameter(), heard[0].getPID()));
        }
    }

    public void testWarnings() throws Exception {
        try (Statement statement = conn.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS nothing");
            SQLWarning warning = statement.getWarnings();
            same("table \"nothing\" does not exist, skipping", warning.getMessage());
            same("00000", warning.getSQLState());
        }
    }

    public void testErrors() throws Exception {
        run("CREATE TABLE t (i int PRIMARY KEY, n int CHECK (n > 0))", "INSERT INTO t VALUES (1, 1)");
        ServerErrorMessage told = ((PSQLException) fails("23505", () -> run("INSERT INTO t VALUES (1, 2)"))).getServerErrorMessage();
        same(List.of("ERROR", "Key (i)=(1) already exists.", schema, "t", "t_pkey"),
            List.of(told.getSeverity(), told.getDetail(), told.getSchema(), told.getTable(), told.getConstraint()));
        told = ((PSQLException) fails("23514", () -> run("UPDATE t SET n = -1"))).getServerErrorMessage();
        same("t_n_check", told.getConstraint());
        told = ((PSQLException) fails("42703", () -> run("SELECT m FROM t"))).getServerErrorMessage();
        same(8, told.getPosition());
        fails("3D000", () -> {
            SQLException refused = null;
            try (Connection none = java.sql.DriverManager.getConnection(
                    "jdbc:postgresql://%s:%s/no_such_database?user=%s".formatted(DSN.get("host"), DSN.get("port"), DSN.get("user")))) {
                same(null, none);
            } catch (SQLException error) {
                refused = error;
            }
            throw refused;
        });
    }

    public void testSettings() throws Exception {
        same(schema, conn.getSchema());
        conn.setSchema("public");
        same(List.of("public"), rows("SHOW search_path"));
        conn.setClientInfo("ApplicationName", "a suite");
        same(List.of("a suite"), rows("SHOW application_name"));
        same(true, conn.isValid(5));
        conn.setNetworkTimeout(Runnable::run, 30_000);
        try (Statement statement = conn.createStatement(); ResultSet result = statement.executeQuery("SELECT current_setting('TimeZone')")) {
            result.next();
            same(java.util.TimeZone.getDefault().getID(), result.getString(1));
        }
    }
}
