import ArgumentParser
import LogArchive
import Ports

/// Where trimmed frames are.
struct ArchiveOption: ParsableArguments {
  static let defaultFolder = ".smartcontent/archive"

  @Option(
    help: ArgumentHelp(
      "Folder of frames that were trimmed from the streams; they are read before the streams as if"
        + " nothing had been trimmed [env SMARTCONTENT_ARCHIVE]. Default: \(defaultFolder).",
      valueName: "folder"))
  var archive: String?

  var folder: String { archive ?? Environment["SMARTCONTENT_ARCHIVE"] ?? Self.defaultFolder }

  /// The log with what was trimmed from it.
  func log(_ log: any EventLog) -> ArchivedLog {
    ArchivedLog(log, archive: Archive(folder: folder))
  }
}
