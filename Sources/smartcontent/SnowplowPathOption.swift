import ArgumentParser
import Collector

/// Where Snowplow's trackers post to besides.
struct SnowplowPathOption: ParsableArguments {
  static let variable = "SMARTCONTENT_SNOWPLOW_PATHS"

  @Option(
    help: ArgumentHelp(
      "Further paths that Snowplow's trackers post to by their setting postPath, such as /com.acme/track, several with"
        + " commas [env \(variable)]. None by default.", valueName: "paths"))
  var snowplowPaths: String?

  func paths() throws -> SnowplowPaths {
    do throws(SnowplowPathError) {
      return try SnowplowPaths(snowplowPaths ?? Environment[Self.variable] ?? "")
    } catch {
      throw ValidationError("--snowplow-paths: \(error)")
    }
  }
}
