import Views

/// Reads what a pipeline computes beyond counting: its sections `persons`, `experiments`, `trends` and `anomalies`. A pipeline
/// without a section does not compute what it declares.
enum SecondStageDefinitions {
  private static let second: Int64 = 1_000_000
  private static let hour: Int64 = 3_600_000_000
  private static let day = 24 * hour
  /// Each slide is a pane in memory per tuple.
  private static let paneCountMax: Int64 = 3600

  /// - Parameter eventLateness: the pipeline's `allowed_lateness`, where it has a limit.
  /// - Returns: nil where there is no such section, and where a problem was noted.
  static func persons(_ pipeline: Section, eventLateness: Int64?) -> PersonPolicy? {
    guard
      let section = pipeline.section(
        "persons",
        keys: ["session_gap", "click_look_back", "impression_look_back", "lateness", "count_max"])
    else { return nil }
    let gap = section.duration("session_gap", second...day)
    let click = section.duration("click_look_back", second...(90 * day))
    let impression = section.duration("impression_look_back", second...(90 * day))
    let lateness = section.duration("lateness", 0...(30 * day))
    let count = section.integer("count_max", 1...100_000_000)
    guard let gap, let click, let impression, let lateness, let count else { return nil }
    if let eventLateness, lateness > eventLateness {
      note(
        section, "lateness", "is more than allowed_lateness",
        allowed: "at most \(Quantity.text(micros: eventLateness)), the pipeline's allowed_lateness",
        fix: "lower it: later events do not count at all")
      return nil
    }
    return PersonPolicy(
      sessionGap: gap, clickLookBack: click, impressionLookBack: impression, lateness: lateness,
      personCountMax: count)
  }

  /// - Returns: nil where there is no such section, and where a problem was noted.
  static func experiments(_ pipeline: Section) -> ExperimentPolicy? {
    guard
      let section = pipeline.section(
        "experiments", keys: ["outcome_window", "look_back", "memory"])
    else { return nil }
    let window = section.duration("outcome_window", second...(90 * day))
    let lookBack = section.duration("look_back", second...(90 * day))
    let memory = section.duration("memory", second...(3650 * day))
    guard let window, let lookBack, let memory else { return nil }
    if pipeline["persons"] == nil {
      section.problems.add(
        line: section.line, key: pipeline.path("experiments"), what: "needs persons",
        allowed: "a pipeline that has the section persons, too",
        fix: "add persons: exposures are of persons")
      return nil
    }
    guard memory >= window else {
      note(
        section, "memory", "is less than outcome_window",
        allowed: "at least \(Quantity.text(micros: window)), the outcome_window",
        fix: "raise it: whose outcome is waited for is not exposed anew")
      return nil
    }
    return ExperimentPolicy(outcomeWindow: window, lookBack: lookBack, memory: memory)
  }

  /// - Returns: nil where there is no such section, and where a problem was noted.
  static func trends(_ pipeline: Section) -> TrendPolicy? {
    guard let section = pipeline.section("trends", keys: ["window", "slide", "retention"])
    else { return nil }
    let slide = section.duration("slide", second...day)
    let size = section.duration("window", second...(7 * day))
    let retention = section.duration("retention", second...(3650 * day))
    guard let size, let slide, let retention else { return nil }
    if slide % second != 0 {
      note(
        section, "slide", "is \(Quantity.text(micros: slide))", allowed: "a multiple of 1s",
        fix: "write 1s, 10s or 1m")
      return nil
    }
    guard size % slide == 0, size / slide <= paneCountMax else {
      let text = Quantity.text(micros: slide)
      note(
        section, "window", "is \(Quantity.text(micros: size)) and slide is \(text)",
        allowed: "a multiple of slide, at most \(paneCountMax) of them",
        fix: "write \(Quantity.text(micros: min(max(1, size / slide), paneCountMax) * slide)),"
          + " or another slide")
      return nil
    }
    guard retention >= 2 * size else {
      note(
        section, "retention", "is \(Quantity.text(micros: retention))",
        allowed: "at least \(Quantity.text(micros: 2 * size)), two windows",
        fix: "raise it: a trend compares a window with the one before it")
      return nil
    }
    return TrendPolicy(size: size, slide: slide, retention: retention)
  }

  /// - Parameter trends: of the pipeline, whose panes are watched.
  /// - Returns: nil where there is no such section, and where a problem was noted.
  static func anomalies(_ pipeline: Section, trends: TrendPolicy?) -> IncidentPolicy? {
    guard
      let section = pipeline.section("anomalies", keys: ["bin", "by", "keys_max", "threshold"])
    else { return nil }
    let bin = section.duration("bin", 60 * second...hour)
    let levels = ["campaign", "content"]
    let by = section.texts("by", allowed: "any of " + levels.joined(separator: ", "))
    let count = section.integer("keys_max", 1...100_000)
    let threshold = section.value(
      "threshold", allowed: "a number from 1 to 12", fix: "write one of these, such as 5.2"
    ) { text in Double(text).flatMap { (1...12).contains($0) ? $0 : nil } }
    guard let bin, let by, let count, let threshold else { return nil }
    if let other = by.first(where: { !levels.contains($0) }) {
      note(
        section, "by", "has \(other)", allowed: levels.joined(separator: ", "),
        fix:
          "remove it: a site is always watched, and other dimensions tell where a deviation is from"
      )
      return nil
    }
    guard let trends else {
      if pipeline["trends"] == nil {
        note(
          section, "bin", "is of a pipeline without trends", allowed: "a pipeline with trends",
          fix: "add the section trends: anomalies are looked for in its slides")
      }
      return nil
    }
    guard bin % trends.slide == 0, bin % second == 0 else {
      note(
        section, "bin", "is \(Quantity.text(micros: bin))",
        allowed: "a multiple of trends.slide, \(Quantity.text(micros: trends.slide))",
        fix: "write 5m, or another slide")
      return nil
    }
    return IncidentPolicy(
      bin: bin, watchesCampaigns: by.contains("campaign"), watchesContents: by.contains("content"),
      keyCountMax: count, threshold: threshold)
  }

  private static func note(
    _ section: Section, _ name: String, _ what: String, allowed: String, fix: String
  ) {
    section.problems.add(
      line: section[name].map(section.line(of:)) ?? section.line, key: section.path(name),
      what: what, allowed: allowed, fix: fix)
  }
}
