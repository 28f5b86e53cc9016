//! `EXPLAIN` in the formats for programs: letter by letter, and in columns of their types.

use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use super::{Session, Target};

/// What a statement in this format gives, in its one row.
async fn explained(session: &Session, statement: &str) -> String {
    let messages = session.simple_query(statement).await.unwrap();
    let mut rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let plan = rows.next().unwrap().to_owned();
    assert!(rows.next().is_none(), "{statement}");
    plan
}

const JSON: &str = r#"[
  {
    "Plan": {
      "Node Type": "Aggregate",
      "Strategy": "Plain",
      "Partial Mode": "Simple",
      "Parallel Aware": false,
      "Async Capable": false,
      "Actual Rows": 1,
      "Actual Loops": 1,
      "Plans": [
        {
          "Node Type": "Seq Scan",
          "Parent Relationship": "Outer",
          "Parallel Aware": false,
          "Async Capable": false,
          "Relation Name": "t",
          "Alias": "u",
          "Actual Rows": 2,
          "Actual Loops": 1,
          "Filter": "((a > 1) AND (b <> '\"<&>'::text))",
          "Rows Removed by Filter": 1
        }
      ]
    },
    "Triggers": [
    ]
  }
]"#;

const YAML: &str = r#"- Plan: 
    Node Type: "Seq Scan"
    Parallel Aware: false
    Async Capable: false
    Relation Name: "t"
    Schema: "rust_explain"
    Alias: "u"
    Output: 
      - "a"
      - "b"
    Filter: "(u.a > 1)"
    Shared Hit Blocks: 0
    Shared Read Blocks: 0
    Shared Dirtied Blocks: 0
    Shared Written Blocks: 0
    Local Hit Blocks: 0
    Local Read Blocks: 0
    Local Dirtied Blocks: 0
    Local Written Blocks: 0
    Temp Read Blocks: 0
    Temp Written Blocks: 0
  Settings: 
    search_path: "rust_explain"
  Planning: 
"#;

const XML: &str = r#"<explain xmlns="http://www.postgresql.org/2009/explain">
  <Query>
    <Plan>
      <Node-Type>Seq Scan</Node-Type>
      <Parallel-Aware>false</Parallel-Aware>
      <Async-Capable>false</Async-Capable>
      <Relation-Name>t</Relation-Name>
      <Schema>rust_explain</Schema>
      <Alias>u</Alias>
      <Output>
        <Item>b</Item>
        <Item>a</Item>
      </Output>
      <Filter>(u.b &lt;&gt; '"&lt;&amp;&gt;'::text)</Filter>
    </Plan>
    <Settings>
      <search_path>rust_explain</search_path>
    </Settings>
  </Query>
</explain>"#;

#[tokio::test]
async fn plans_are_explained_in_all_formats() {
    let target = Target::new();
    let session = target.in_schema("rust_explain").await;
    session
        .run("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')")
        .await;
    let analyzed = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) \
                    SELECT count(*) FROM t u WHERE a > 1 AND b <> '\"<&>'";
    assert_eq!(explained(&session, analyzed).await, JSON);
    let buffers = "EXPLAIN (VERBOSE, SETTINGS, COSTS OFF, BUFFERS, FORMAT YAML) \
                   SELECT a, b FROM t u WHERE a > 1";
    let yaml = explained(&session, buffers).await;
    // What planning read is not the same every time.
    assert!(yaml.starts_with(YAML), "{yaml}");
    let settings = "EXPLAIN (VERBOSE, SETTINGS, COSTS OFF, FORMAT XML) \
                    SELECT b, a FROM t u WHERE b <> '\"<&>'";
    assert_eq!(explained(&session, settings).await, XML);
    for (format, ty) in
        [("JSON", Type::JSON), ("XML", Type::XML), ("YAML", Type::TEXT), ("TEXT", Type::TEXT)]
    {
        let statement = format!("EXPLAIN (FORMAT {format}) SELECT 1");
        let prepared = session.prepare(&statement).await.unwrap();
        let column = &prepared.columns()[0];
        assert_eq!((column.name(), column.type_()), ("QUERY PLAN", &ty));
    }
    let times = session
        .simple_query("EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM t JOIN t o USING (a)")
        .await
        .unwrap();
    let SimpleQueryMessage::Row(row) = &times[1] else { panic!("{times:?}") };
    for key in [
        "Startup Cost",
        "Total Cost",
        "Plan Rows",
        "Plan Width",
        "Actual Startup Time",
        "Actual Total Time",
        "Join Type",
        "Planning Time",
        "Execution Time",
    ] {
        assert!(row.get(0).unwrap().contains(&format!("\"{key}\": ")), "{key}");
    }
}
