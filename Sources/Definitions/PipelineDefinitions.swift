import Dataflow
import Events
import Views

/// Reads `Streams/pipelines.yaml`.
enum PipelineDefinitions {
  static let fileName = "pipelines.yaml"
  static let rootKeys = ["pipelines"]
  private static let keys = [
    "version", "allowed_disorder", "allowed_lateness", "dedupe_horizon", "window_grace",
    "tuple_count_max", "dedupe_count_max",
  ]
  private static let optionalKeys = ["persons", "experiments", "trends", "anomalies", "bots"]
  private static let hour: Int64 = 3_600_000_000
  private static let day = 24 * hour

  /// In order of their place in the file.
  ///
  /// - Parameter bots: the rules of bots.yaml, if there are some.
  static func read(_ root: Section, bots: BotRules?) -> [PipelineSpec]? {
    guard let section = root.section("pipelines") else { return nil }
    if section["default"] == nil {
      section.problems.add(
        line: section.line, key: "pipelines.default", what: "is missing",
        allowed: "a pipeline named default, which queries read unless told",
        fix: "add it")
    }
    let specs = section.entries.compactMap { read($0, section, bots) }
    return specs.count == section.entries.count ? specs : nil
  }

  private static func read(
    _ entry: Section.Entry, _ all: Section, _ bots: BotRules?
  ) -> PipelineSpec? {
    if !isName(entry.name) {
      all.problems.add(
        line: entry.line, key: all.path(entry.name), what: "is no name of a pipeline",
        allowed: "a letter a-z, then up to 31 of a-z, 0-9 and _", fix: "rename it")
    }
    guard
      let section = Section(
        entry.value, key: all.path(entry.name), keys: keys, optional: optionalKeys,
        problems: all.problems)
    else { return nil }
    let version = section.integer("version", 1...1_000_000)
    let disorder = section.duration("allowed_disorder", 0...hour)
    let lateness = section.value(
      "allowed_lateness", allowed: "unlimited, or a duration from 0us to 3650d",
      fix: "write unlimited, or a whole number and one of the units us, ms, s, m, h, d"
    ) { text -> Int64?? in
      if text == "unlimited" { return .some(nil) }
      return Quantity.duration(text).flatMap { $0 <= 3650 * day ? .some($0) : nil }
    }
    let horizon = section.duration("dedupe_horizon", 60_000_000...(90 * day))
    let grace = section.duration("window_grace", 0...day)
    let tuples = section.integer("tuple_count_max", 1...100_000_000)
    let dedupe = section.integer("dedupe_count_max", 1000...10_000_000_000)
    var persons = SecondStageDefinitions.persons(section, eventLateness: lateness ?? nil)
    let experiments = SecondStageDefinitions.experiments(section)
    persons?.experiments = experiments
    let trends = SecondStageDefinitions.trends(section)
    let anomalies = SecondStageDefinitions.anomalies(section, trends: trends)
    let rules = section.value(
      "bots",
      allowed: bots.map { "\($0.version), the version of bots.yaml" }
        ?? "no line, for there is no bots.yaml",
      fix: "write that version, and raise the pipeline's own; then rebuild it"
    ) { text in bots.flatMap { Int(text) == Int($0.version) ? $0 : nil } }
    guard isName(entry.name), let version, let disorder, let lateness, let horizon, let grace,
      let tuples, let dedupe
    else { return nil }
    return PipelineSpec(
      name: entry.name, version: version, allowedDisorder: disorder, allowedLateness: lateness,
      dedupeHorizon: horizon, windowGrace: grace, tupleCountMax: tuples, dedupeCountMax: dedupe,
      persons: persons, trends: trends, anomalies: anomalies, bots: rules)
  }

  private static func isName(_ name: String) -> Bool {
    guard let first = name.utf8.first, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first)
    else { return false }
    return name.utf8.count <= 32
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
          UInt8(ascii: "_"):
          true
        default: false
        }
      }
  }
}
