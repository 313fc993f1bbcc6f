import ArgumentParser

/// The key store's file of a role.
struct KeysFileOption: ParsableArguments {
  static let variable = "SMARTCONTENT_KEYS_FILE"

  @Option(
    help: ArgumentHelp(
      "File of write keys, as `smartcontent keys` makes it; changes are followed"
        + " [env \(variable)].", valueName: "file"))
  var keysFile: String?

  /// Nil where none is given.
  var path: String? { keysFile ?? Environment[Self.variable] }

  /// Where `dev` has it.
  static func path(inHome home: String) -> String { home + "/keys.json" }
}
