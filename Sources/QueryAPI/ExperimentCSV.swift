import Experiments
import Statistics

/// Results of an experiment as CSV: a row for each variant and metric of everybody, then one for each variant of each segment.
enum ExperimentCSV {
  private static let header = [
    "dimension", "segment", "variant", "is_control", "persons", "metric", "value",
    "value_low", "value_high", "lift", "lift_low", "lift_high", "difference", "difference_low",
    "difference_high", "variance_reduction", "p_value", "decision", "chance_to_be_best",
    "expected_loss", "chance_to_beat_control",
  ]

  static func table(_ results: ExperimentResults, of experiment: Experiment) -> [UInt8] {
    let plan = experiment.plan
    var table = CSVTable(header: header)
    for variant in results.variants {
      for metric in variant.metrics {
        table.append(
          [
            .empty, .empty, .text(variant.name), .text("\(variant.isControl)"),
            .number("\(variant.persons)"),
          ] + cells(metric) + [
            CSVAnswer.cell(variant.chanceToBeBest), CSVAnswer.cell(variant.expectedLoss),
            CSVAnswer.cell(variant.chanceToBeatControl),
          ])
      }
    }
    for segment in results.segments {
      let values = zip(segment.persons, segment.metrics)
      for (variant, (persons, metric)) in zip(plan.variants, values) {
        table.append(
          [
            .text(segment.dimension), .text(segment.value), .text(variant),
            .text("\(variant == plan.control)"), .number("\(persons)"),
          ] + cells(metric) + [.empty, .empty, .empty])
      }
    }
    return table.bytes
  }

  private static func cells(_ metric: ExperimentResults.MetricValue) -> [CSVTable.Cell] {
    let comparison = metric.comparison
    let decision = comparison?.decision.map { $0 == .treatmentIsBetter ? "better" : "worse" }
    let numbers = [
      metric.value?.value, metric.value?.lower, metric.value?.upper, comparison?.lift,
      comparison?.liftLower, comparison?.liftUpper, comparison?.difference?.value,
      comparison?.difference?.lower, comparison?.difference?.upper, comparison?.varianceReduction,
      comparison?.pValue,
    ]
    return [.text(metric.metric.name)] + numbers.map(CSVAnswer.cell)
      + [.known(decision)]
  }
}
