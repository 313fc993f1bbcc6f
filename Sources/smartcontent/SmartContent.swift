import ArgumentParser

/// The program: every role and tool is a subcommand.
@main
struct SmartContent: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "smartcontent",
    abstract: "Real-time analytics for content: an append-only log, exact numbers, live.",
    discussion: """
      Start with `smartcontent dev`: it runs everything on this machine and prints what to try.
      Exit codes: 0 done, 1 failed, 64 wrong usage; a command's own help names its others.
      """,
    subcommands: [
      DevCommand.self, CollectCommand.self, ProcessCommand.self, ServeCommand.self,
      KeysCommand.self, StreamsCommand.self, EventsCommand.self, DeadLettersCommand.self,
      PersonCommand.self,
      VerifyCommand.self,
      RebuildCommand.self,
      ReplayCommand.self, TopCommand.self, DemoCommand.self,
      DoctorCommand.self, LinksCommand.self,
      HealthCommand.self,
    ])
}
