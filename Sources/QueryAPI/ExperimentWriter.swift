import Events
import Experiments
import Statistics
import Views

/// Experiments, assignments and results as the API's JSON.
struct ExperimentWriter {
  private var json = JSONWriter(reserving: 4_096)

  static func entry(_ entry: ExperimentCatalog.Entry) -> [UInt8] {
    var writer = ExperimentWriter()
    writer.write(entry)
    return writer.json.bytes
  }

  static func list(_ entries: [ExperimentCatalog.Entry]) -> [UInt8] {
    var writer = ExperimentWriter()
    writer.json.beginObject()
    writer.json.key("experiments")
    writer.json.beginArray()
    for entry in entries { writer.write(entry) }
    writer.json.endArray()
    writer.json.endObject()
    return writer.json.bytes
  }

  static func assignment(
    _ assignment: Assignment, of person: String, in experiment: Experiment
  ) -> [UInt8] {
    var writer = ExperimentWriter()
    let variants = experiment.plan.variants
    writer.json.beginObject()
    writer.text("experiment", experiment.id)
    writer.text("status", experiment.status.name)
    writer.text("person", person)
    writer.text("variant", assignment.variant.map { variants[$0] })
    writer.json.key("in_experiment")
    writer.json.bool(assignment.epoch != nil && assignment.variant != nil)
    writer.number("bucket", assignment.bucket)
    writer.shares("probabilities", assignment.shares, variants)
    writer.number("epoch", assignment.epoch)
    writer.json.endObject()
    return writer.json.bytes
  }

  private mutating func write(_ entry: ExperimentCatalog.Entry) {
    let experiment = entry.experiment
    let plan = experiment.plan
    json.beginObject()
    text("id", experiment.id)
    text("status", experiment.status.name)
    ExperimentFormat.writePlan(plan, to: &json)
    list("allocation", experiment.epochs) { writer, epoch in
      writer.text("since", Timestamp.format(epoch.since))
      writer.shares("weights", epoch.shares, plan.variants)
    }
    list("ranges", entry.assigner.allocations.last?.stretches ?? []) { writer, stretch in
      writer.number("from", stretch.from)
      writer.number("to", stretch.to)
      writer.text("variant", plan.variants[stretch.variant])
    }
    if case .stopped(let time, let decision) = experiment.status {
      text("stopped_at", Timestamp.format(time))
      ExperimentFormat.writeDecision(decision, to: &json)
    }
    text("declared_by", entry.revision == nil ? "file" : "api")
    number("revision", entry.revision)
    json.endObject()
  }

  // MARK: Results

  static func results(
    _ results: ExperimentResults, of experiment: Experiment
  ) -> [UInt8] {
    var writer = ExperimentWriter()
    writer.write(results, experiment)
    return writer.json.bytes
  }

  private mutating func write(_ results: ExperimentResults, _ experiment: Experiment) {
    let plan = experiment.plan
    json.beginObject()
    text("experiment", experiment.id)
    text("status", experiment.status.name)
    text("metric", plan.metric.name)
    text("control", plan.control)
    text("currency", plan.currency)
    json.key("alpha")
    json.double(plan.alpha)
    json.key("decision")
    write(results.decision)
    json.key("progress")
    write(results.progress)
    list("variants", results.variants) { writer, variant in
      writer.text("variant", variant.name)
      writer.json.key("is_control")
      writer.json.bool(variant.isControl)
      writer.number("persons", variant.persons)
      writer.metrics(variant.metrics)
      writer.number("chance_to_be_best", variant.chanceToBeBest)
      writer.number("expected_loss", variant.expectedLoss)
      writer.number("chance_to_beat_control", variant.chanceToBeatControl)
    }
    list("epochs", results.epochs) { writer, epoch in
      writer.text("since", Timestamp.format(epoch.since))
      writer.shares("weights", epoch.shares, plan.variants)
      writer.list("variants", Array(plan.variants.enumerated())) { writer, variant in
        writer.text("variant", variant.element)
        writer.number("persons", epoch.persons[variant.offset])
        writer.number("value", epoch.values[variant.offset])
        writer.number("lift", epoch.lifts[variant.offset])
      }
    }
    list("segments", results.segments) { writer, segment in
      writer.text("dimension", segment.dimension)
      writer.text("value", segment.value)
      let values = Array(zip(plan.variants, zip(segment.persons, segment.metrics)))
      writer.list("variants", values) { writer, value in
        writer.text("variant", value.0)
        writer.number("persons", value.1.0)
        writer.metrics([value.1.1])
      }
    }
    number("hidden_segments", results.hiddenSegments)
    json.key("sample_ratio")
    write(results.sampleRatio, plan.variants)
    let persons = results.variants.reduce(0) { $0 + $1.persons }
    json.key("mixed")
    json.beginObject()
    number("persons", results.mixedPersons)
    number("share", persons > 0 ? Double(results.mixedPersons) / Double(persons) : nil)
    json.endObject()
    json.key("warnings")
    json.beginArray()
    for warning in results.warnings { json.string(warning) }
    json.endArray()
    json.key("completeness")
    write(results.completeness, cohort: plan.cohort.name)
    json.endObject()
  }

  private mutating func write(_ progress: ExperimentResults.Progress) {
    json.beginObject()
    number("planned_persons", progress.plannedPersons)
    number("persons", progress.persons)
    number("needed_persons", progress.neededPersons)
    json.endObject()
  }

  private mutating func write(_ decision: ExperimentResults.Decision) {
    json.beginObject()
    text("action", Self.name(decision.action))
    text("variant", decision.variant)
    json.key("reasons")
    json.beginArray()
    for reason in decision.reasons { json.string(reason) }
    json.endArray()
    json.endObject()
  }

  static func name(_ action: ExperimentVerdict.Action) -> String {
    switch action {
    case .distrust: "distrust"
    case .stopForHarm: "stop_for_harm"
    case .takeTreatment: "take_treatment"
    case .keepControl: "keep_control"
    case .stopForFutility: "stop_for_futility"
    case .goOn: "go_on"
    }
  }

  private mutating func metrics(_ values: [ExperimentResults.MetricValue]) {
    json.key("metrics")
    json.beginObject()
    for value in values {
      json.key(value.metric.name)
      json.beginObject()
      interval("", value.value)
      if let comparison = value.comparison {
        json.key("comparison")
        json.beginObject()
        number("lift", comparison.lift)
        numbers("lift_interval", [comparison.liftLower, comparison.liftUpper])
        interval("difference", comparison.difference)
        number("variance_reduction", comparison.varianceReduction)
        number("p_value", comparison.pValue)
        let decision = comparison.decision.map { $0 == .treatmentIsBetter ? "better" : "worse" }
        text("decision", decision)
        json.endObject()
      }
      json.endObject()
    }
    json.endObject()
  }

  private mutating func write(_ ratio: ExperimentResults.SampleRatio, _ variants: [String]) {
    json.beginObject()
    json.key("is_mismatch")
    json.bool(ratio.isMismatch)
    text("basis", ratio.basis.rawValue)
    number("p_value", ratio.pValue)
    number("alpha", ratio.alpha)
    let arms = Array(zip(variants, zip(ratio.observed, ratio.expected)))
    list("variants", arms) { writer, arm in
      writer.text("variant", arm.0)
      writer.number("observed", arm.1.0)
      writer.number("expected", arm.1.1)
    }
    list("failures", ratio.failures) { writer, failure in
      writer.text("value", failure.name)
      writer.number("p_value", failure.pValue)
      writer.text("variant", variants[failure.arm])
      writer.number("standard_deviations", failure.score)
    }
    json.endObject()
  }

  private mutating func write(_ completeness: ExperimentResults.Completeness, cohort: String) {
    json.beginObject()
    text("position", completeness.position?.description)
    text("log_time", completeness.logTime.map(Timestamp.format))
    text("watermark", completeness.watermark.map(Timestamp.format))
    text("cohort", cohort)
    number("outcome_window_seconds", Double(completeness.outcomeWindow) / 1_000_000)
    text("mature_until", completeness.matureUntil.map(Timestamp.format))
    number("immature_persons", completeness.immaturePersons)
    number("persons_between_epochs", completeness.betweenEpochs)
    json.endObject()
  }

  // MARK: Members

  private mutating func text(_ name: String, _ value: String?) {
    json.key(name)
    if let value { json.string(value) } else { json.null() }
  }

  private mutating func number(_ name: String, _ value: (some FixedWidthInteger)?) {
    json.key(name)
    if let value { json.integer(value) } else { json.null() }
  }

  private mutating func number(_ name: String, _ value: Double?) {
    json.key(name)
    if let value { json.double(value) } else { json.null() }
  }

  private mutating func numbers(_ name: String, _ values: [Double?]) {
    json.key(name)
    json.beginArray()
    for value in values {
      if let value { json.double(value) } else { json.null() }
    }
    json.endArray()
  }

  /// A value and its interval, of the names `value` and `interval` where the name is empty.
  private mutating func interval(_ name: String, _ interval: ExperimentResults.Interval?) {
    number(name.isEmpty ? "value" : name, interval?.value)
    numbers(
      name.isEmpty ? "interval" : "\(name)_interval", [interval?.lower, interval?.upper])
  }

  private mutating func shares(_ name: String, _ shares: [Int], _ variants: [String]) {
    json.key(name)
    json.beginObject()
    for (variant, share) in zip(variants, shares) {
      json.key(variant)
      json.raw(ExperimentFormat.weightText(share))
    }
    json.endObject()
  }

  private mutating func list<Item>(
    _ name: String, _ items: [Item], _ write: (inout Self, Item) -> Void
  ) {
    json.key(name)
    json.beginArray()
    for item in items {
      json.beginObject()
      write(&self, item)
      json.endObject()
    }
    json.endArray()
  }
}
