import ArgumentParser

/// Figures of quality beside those of the best open libraries; with `--json` each ends with one JSON
/// object of its figures.
@main
struct Quality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quality",
    abstract: "Measure how good the statistics are, beside published baselines.",
    subcommands: [
      ABQuality.self, SketchQuality.self, NABQuality.self, RateStreamQuality.self,
      HourlyQuality.self, BanditQuality.self, ContextualQuality.self, OffPolicyQuality.self,
      RecommendationQuality.self, ClusterQuality.self, TimingQuality.self,
    ])
}

struct QualityOptions: ParsableArguments {
  @Flag(help: "End with one JSON object of the figures.")
  var json = false

  @Option(help: "Folder of data sets: each is found by its layout, not by its name.")
  var data = "../shared/data"
}

/// What is wrong with the data or the arguments, and what to do.
struct QualityError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
