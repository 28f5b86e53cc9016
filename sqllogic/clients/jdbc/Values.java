import java.math.BigDecimal;
import java.sql.Array;
import java.sql.Date;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Time;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.Calendar;
import java.util.List;
import java.util.TimeZone;
import java.util.UUID;
import org.postgresql.PGStatement;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PGobject;

/** Values both ways, as text and, after a statement has been prepared on the server, in binary. */
public class Values extends Suite {
    /** Sends a value and reads it back, more often than it takes to switch to binary. */
    private void comesBack(String type, Object sent, Class<?> read, Object expected) throws Exception {
        try (PreparedStatement statement = conn.prepareStatement("SELECT ?::" + type + ", ?::" + type + " IS NULL")) {
            statement.unwrap(PGStatement.class).setPrepareThreshold(2);
            for (int i = 0; i < 5; i++) {
                statement.setObject(1, sent);
                statement.setObject(2, sent);
                try (ResultSet result = statement.executeQuery()) {
                    result.next();
                    same(expected, read == null ? result.getObject(1) : result.getObject(1, read));
                    same(sent == null, result.getBoolean(2));
                }
            }
        }
    }

    private void comesBack(String type, Object value) throws Exception {
        comesBack(type, value, null, value);
    }

    public void testNumbersAndText() throws Exception {
        comesBack("int4", Integer.MIN_VALUE);
        comesBack("int8", Long.MAX_VALUE);
        comesBack("int2", 7);
        comesBack("float4", 1.5f);
        comesBack("float8", -1e300);
        comesBack("float8", Double.NaN);
        comesBack("numeric", new BigDecimal("-12345678901234567890.1234567890"));
        comesBack("numeric", new BigDecimal("0.00001000"));
        comesBack("numeric", BigDecimal.ZERO);
        comesBack("bool", true);
        comesBack("text", "zwölf 漢字 🦀 \\ ' \"");
        comesBack("varchar", "");
        comesBack("bytea", new byte[] {0, 1, -1, '\\'});
        comesBack("uuid", UUID.fromString("6ba7b810-9dad-11d1-80b4-00c04fd430c8"));
        comesBack("int4", null);
    }

    public void testDatesAndTimes() throws Exception {
        run("SET TIME ZONE 'America/New_York'");
        comesBack("date", LocalDate.of(2024, 2, 29), LocalDate.class, LocalDate.of(2024, 2, 29));
        LocalDateTime local = LocalDateTime.of(2024, 3, 10, 2, 30, 0, 123456000);
        comesBack("timestamp", local, LocalDateTime.class, local);
        OffsetDateTime moment = OffsetDateTime.of(2024, 7, 1, 12, 0, 0, 0, ZoneOffset.ofHours(2));
        comesBack("timestamptz", moment, OffsetDateTime.class, moment.withOffsetSameInstant(ZoneOffset.UTC));
        comesBack("time", LocalTime.of(23, 59, 59, 999999000), LocalTime.class, LocalTime.of(23, 59, 59, 999999000));
        comesBack("timestamp", LocalDateTime.MAX, LocalDateTime.class, LocalDateTime.MAX);
        comesBack("date", LocalDate.MIN, LocalDate.class, LocalDate.MIN);
        comesBack("date", LocalDate.of(-43, 3, 15), LocalDate.class, LocalDate.of(-43, 3, 15));
        Timestamp old = new Timestamp(-1_000_000_000_000L);
        comesBack("timestamptz", old, Timestamp.class, old);
        comesBack("date", Date.valueOf("1999-12-31"));
        comesBack("time", Time.valueOf("01:02:03"));
        try (PreparedStatement statement = conn.prepareStatement("SELECT ?::timestamptz = timestamptz '2024-01-01 00:00+09'")) {
            Calendar tokyo = Calendar.getInstance(TimeZone.getTimeZone("Asia/Tokyo"));
            tokyo.clear();
            tokyo.set(2024, Calendar.JANUARY, 1);
            statement.setTimestamp(1, new Timestamp(tokyo.getTimeInMillis()), tokyo);
            same(List.of("t"), rows(statement.executeQuery()));
        }
        comesBack("interval", new PGInterval(1, 2, 3, 4, 5, 6.5));
    }

    public void testArrays() throws Exception {
        run("CREATE TABLE t (i int[], s text[][], n numeric[])");
        try (PreparedStatement insert = conn.prepareStatement("INSERT INTO t VALUES (?, ?, ?)")) {
            insert.unwrap(PGStatement.class).setPrepareThreshold(-1);
            insert.setArray(1, conn.createArrayOf("int4", new Object[] {1, null, -3}));
            insert.setArray(2, conn.createArrayOf("text", new String[][] {{"a b", "c\""}, {"", "NULL"}}));
            insert.setArray(3, conn.createArrayOf("numeric", new Object[] {new BigDecimal("1.50")}));
            same(1, insert.executeUpdate());
        }
        try (PreparedStatement select = conn.prepareStatement("SELECT i, s, n FROM t WHERE 1 = ANY(i)")) {
            for (int i = 0; i < 7; i++) {
                try (ResultSet result = select.executeQuery()) {
                    result.next();
                    same(new Integer[] {1, null, -3}, result.getArray(1).getArray());
                    same(new String[][] {{"a b", "c\""}, {"", "NULL"}}, result.getArray(2).getArray());
                    Array numbers = result.getArray(3);
                    same(new BigDecimal[] {new BigDecimal("1.50")}, numbers.getArray());
                    same("numeric", numbers.getBaseTypeName());
                    same(Types.NUMERIC, numbers.getBaseType());
                }
            }
        }
        try (PreparedStatement select = conn.prepareStatement("SELECT g FROM generate_series(1, 9) g WHERE g = ANY(?)")) {
            select.setObject(1, new int[] {3, 5, 99});
            same(List.of("3", "5"), rows(select.executeQuery()));
        }
    }

    public void testOwnTypesAndDocuments() throws Exception {
        run("CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE TYPE pair AS (a int, b text)",
            "CREATE TABLE t (m mood, p pair, j jsonb, ms mood[])");
        try (PreparedStatement insert = conn.prepareStatement("INSERT INTO t VALUES (?, ?, ?, ?)")) {
            insert.setObject(1, "ok", Types.OTHER);
            PGobject pair = new PGobject();
            pair.setType("pair");
            pair.setValue("(1,\"x y\")");
            insert.setObject(2, pair);
            PGobject document = new PGobject();
            document.setType("jsonb");
            document.setValue("{\"a\": [1, null]}");
            insert.setObject(3, document);
            insert.setArray(4, conn.createArrayOf("mood", new String[] {"sad", "ok"}));
            insert.executeUpdate();
        }
        try (PreparedStatement select = conn.prepareStatement("SELECT * FROM t")) {
            ResultSet result = select.executeQuery();
            result.next();
            same("ok", result.getObject(1));
            same("(1,\"x y\")", ((PGobject) result.getObject(2)).getValue());
            same("{\"a\": [1, null]}", ((PGobject) result.getObject(3)).getValue());
            same("jsonb", result.getMetaData().getColumnTypeName(3));
            same(List.of("sad", "ok"), Arrays.asList((Object[]) result.getArray(4).getArray()));
        }
    }
}
