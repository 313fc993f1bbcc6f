import Collector
@testable import Events

/// Schemas of events, their patterns, and what is held against them.
enum SchemaTargets {
  private static let file = """
    {"x-event":"Order Completed","x-version":2,"x-upcast":[],"type":"object","required":["order_id"],
    "properties":{"order_id":{"type":["string","number"],"maxLength":256,"minLength":1},
    "revenue":{"$ref":"#/$defs/money"},"when":{"format":"date-time"},"email":{"format":"email"},
    "items":{"type":"array","items":{"multipleOf":0.01},"maxItems":3,"uniqueItems":true}},
    "additionalProperties":false,
    "$defs":{"money":{"anyOf":[{"type":"number","minimum":0},{"pattern":"^[0-9]+$"},{"const":null}]}}}
    """
  private static let properties =
    #"{"order_id":"o1","revenue":"12","when":"2026-01-01T00:00:00Z","items":[0.01,1.99]}"#

  private static let bomb =
    String(repeating: "(", count: 8)
    + String(repeating: "){1000}", count: 8)

  static let all: [FuzzTarget] = [
    FuzzTarget(
      "schema", seeds: [pair(file, properties), #"{"type":"object"}"#.bytes],
      words: words(
        ["type", "properties", "$ref", "pattern", "enum", "const", "anyOf", "not", "required"],
        ["\"#/$defs/", "\u{0}"]), run: schema),
    FuzzTarget(
      "pattern",
      seeds: [
        pair("^[0-9a-f]{8}(-[0-9a-f]{4}){3}$", "0192f3d2-0000-7000-8000"),
        pair(#"^(a|b)*?[^\d\s]\.\u0041$"#, "abab"), pair("(a+)+$", "aaaa!"),
      ],
      words: [
        "(", ")", "|", "*", "+", "?", "{2,3}", "{1000}", "[^", "]", "\\d", "\\", "^", "$", ".",
      ],
      regressions: [bomb.bytes], run: pattern),
    FuzzTarget(
      "schema-gate",
      seeds: [
        #"{"properties":{"order_id":"o1","revenue":9.99,"currency":"EUR"}}"#.bytes,
        #"{"context":{"schema_version":1},"traits":{"order_id":1}}"#.bytes,
      ], words: words(["properties", "order_id", "schema_version"]), run: gate),
  ]

  @Sendable private static func schema(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let (file, properties) = halves(input)
    let (schema, problems) = EventSchema.read(Array(file), named: "order.v2")
    try BrokenLaw.unless(
      (schema == nil) == !problems.isEmpty, "what is no schema has a problem that says so")
    guard let schema else { return }
    _ = schema.schema.personalPaths
    do throws(JSONError) {
      let value = try JSONTree(properties)
      _ = schema.schema.violation(of: value)
      var changed = value
      schema.upcast?.apply(to: &changed)
    } catch {
      // Only JSON is held against schemas.
    }
  }

  @Sendable private static func pattern(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let (pattern, subject) = halves(input)
    do throws(SchemaPattern.Malformed) {
      let pattern = try SchemaPattern(text(pattern))
      let first = pattern.matches(text(subject))
      let whole = try SchemaPattern("(?:" + pattern.text + ")")
      // A group around it changes nothing, unless it is one too many.
      precondition(
        whole.matches(text(subject)) == first, "a group around a pattern changes nothing")
    } catch {
      // It is said what is wrong with it.
    }
  }

  private static let admission: (gate: SchemaGate, key: WriteKey) = {
    let old = EventSchema.read(
      #"{"x-event":"Order Completed","x-version":1,"properties":{"order_id":{"type":"number"}}}"#
        .bytes, named: "old"
    ).schema
    let new = EventSchema.read(file.bytes, named: "new").schema
    return (
      SchemaGate(EventSchemas([old, new].compactMap(\.self))), ProtocolTargets.key("dev")
    )
  }()

  @Sendable private static func gate(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    var event = FrameTargets.event()
    event.payload = Array(input)
    let facts = RequestFacts(userAgent: "", clientAddress: "", header: { _ in nil })
    do throws(Refusal) {
      _ = try admission.gate.admit(&event, facts, admission.key)
    } catch {
      return try BrokenLaw.unless(
        event.payload.elementsEqual(input), "what is refused is as it was when it came")
    }
    // Protocols keep nothing but objects.
    if ProtocolTargets.isObject(Array(input)) { try ProtocolTargets.check(event) }
  }
}
