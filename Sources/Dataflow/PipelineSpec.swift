public import Events
public import Views

/// What a pipeline computes, as declared in `Streams/pipelines.yaml`.
public struct PipelineSpec: Hashable, Sendable {
  /// Lower-case letters, digits and underscores; part of schema and key names.
  public var name: String
  /// Rises when the pipeline's meaning changes; read models of versions stand side by side.
  public var version: Int
  /// How far the watermark trails log time, microseconds.
  public var allowedDisorder: Int64
  /// How late an event may be to correct its window, microseconds behind the watermark; nil for ever.
  public var allowedLateness: Int64?
  /// How long every copy of an event is recognised, microseconds of log time.
  public var dedupeHorizon: Int64
  /// How long a final window stays in state and in the hot copy, microseconds behind the watermark.
  public var windowGrace: Int64
  /// The most distinct dimension tuples with live windows per partition; events beyond it count
  /// for the site's `(other)` tuple.
  public var tupleCountMax: Int
  /// The most event ids remembered per partition; when they are exceeded the partition stops
  /// with an explanation instead of forgetting early.
  public var dedupeCountMax: Int
  /// Sessions and attribution; nil where the pipeline computes none.
  public var persons: PersonPolicy?
  /// Hopping windows; nil where the pipeline computes none.
  public var trends: TrendPolicy?
  /// Incidents, from the panes of the trends; nil where the pipeline watches for none.
  public var anomalies: IncidentPolicy?
  /// The rules by which bots are told from people, old events included; nil where the verdicts of the
  /// collectors count.
  public var bots: BotRules?

  public init(
    name: String, version: Int = 1, allowedDisorder: Int64 = 5_000_000,
    allowedLateness: Int64? = nil, dedupeHorizon: Int64 = 86_400_000_000,
    windowGrace: Int64 = 60_000_000, tupleCountMax: Int = 200_000,
    dedupeCountMax: Int = 25_000_000, persons: PersonPolicy? = nil, trends: TrendPolicy? = nil,
    anomalies: IncidentPolicy? = nil, bots: BotRules? = nil
  ) {
    self.name = name
    self.version = version
    self.allowedDisorder = allowedDisorder
    self.allowedLateness = allowedLateness
    self.dedupeHorizon = dedupeHorizon
    self.windowGrace = windowGrace
    self.tupleCountMax = tupleCountMax
    self.dedupeCountMax = dedupeCountMax
    self.persons = persons
    self.trends = trends
    self.anomalies = anomalies
    self.bots = bots
  }

  /// True where the pipeline has a second stage, which reads ``partialsStream``.
  public var hasSecondStage: Bool { persons != nil || trends != nil }

  /// What the pipeline computes from persons' histories.
  public var personMeasures: [Measure] {
    guard let persons else { return [] }
    return persons.experiments == nil ? [.outcomes] : [.outcomes, .exposures, .baselines]
  }

  /// The stream through which the first stage feeds the second; each version has its own.
  public var partialsStream: String { "partials-\(name)-v\(version)" }

  /// Identifies everything that decides the pipeline's results; another hash than the stored one
  /// refuses a partition's checkpoint and snapshots.
  public var hash: UInt64 {
    var hash = SipHash128()
    hash.update(field: name)
    var values = [
      Int64(version), allowedDisorder, allowedLateness ?? -1, dedupeHorizon, windowGrace,
      Int64(tupleCountMax), Self.codeVersion,
    ]
    if let persons {
      values += [
        1, persons.sessionGap, persons.clickLookBack, persons.impressionLookBack, persons.lateness,
        Int64(persons.personCountMax),
      ]
    }
    if let experiments = persons?.experiments {
      values += [4, experiments.outcomeWindow, experiments.lookBack, experiments.memory]
    }
    if let trends { values += [2, trends.size, trends.slide] }
    if let anomalies {
      values += [
        4, anomalies.bin, anomalies.watchesCampaigns ? 1 : 0, anomalies.watchesContents ? 1 : 0,
        Int64(anomalies.keyCountMax), Int64(bitPattern: anomalies.threshold.bitPattern),
      ]
    }
    if let bots {
      values.append(3)
      var json = JSONWriter(reserving: 4096)
      bots.write(to: &json)
      json.bytes.withUnsafeBytes { hash.update(field: $0) }
    }
    for value in values {
      withUnsafeBytes(of: value.littleEndian) { hash.update($0) }
    }
    return hash.finalize().low
  }

  /// Rises when operators of the same declaration would compute something else, or snapshots change.
  public static let codeVersion: Int64 = 5
}
