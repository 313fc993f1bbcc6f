import FoundationEssentials

/// Where the definitions of an installation are.
public enum DefinitionFolder {
  /// The first of these that has a `streams.yaml`: `stated` alone where it is given; else
  /// `Streams` in the working folder, `Streams` beside the executable, `share/smartcontent/Streams`
  /// beside the executable's folder.
  ///
  /// - Parameters:
  ///   - stated: the value of `--streams`, if any.
  ///   - executable: path of the running program.
  /// - Throws: a ``Problem`` that names the places looked at.
  public static func find(
    stated: String?, executable: String, workingFolder: String = "."
  ) throws(Problem) -> String {
    let places = stated.map { [$0] } ?? candidates(executable: executable, in: workingFolder)
    for place in places where FileManager.default.fileExists(atPath: place + "/streams.yaml") {
      return place
    }
    throw Problem(
      file: places[0],
      what: "has no streams.yaml"
        + (places.count > 1 ? ", nor has \(places.dropFirst().joined(separator: ", "))" : ""),
      allowed: "a folder with streams.yaml, pipelines.yaml and event-mapping.yaml",
      fix: "name the Streams folder of the repository or of the installation with --streams")
  }

  static func candidates(executable: String, in workingFolder: String) -> [String] {
    let folder = executable.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      .joined(separator: "/")
    let beside = executable.contains("/") ? folder : "."
    return [
      workingFolder == "." ? "Streams" : "\(workingFolder)/Streams", "\(beside)/Streams",
      "\(beside)/../share/smartcontent/Streams",
    ]
  }
}
