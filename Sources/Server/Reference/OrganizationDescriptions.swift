import RouterCore
import Storage

/// Organisations: wallets that users share.
enum OrganizationDescriptions {
    private static let roles = APIField.Kind.choice(OrganizationRole.allCases.map(\.rawValue))
    private static let roleMeaning = "`owner`, `admin`, `billing` or `member`; [accounts.md](accounts.md) has what each may do."
    private static let path = [APIField("id", .id, "The organization's id.")]
    private static let memberPath = path + [APIField("user_id", .id, "The member's user id.")]
    private static let notFound = (status: 404, when: "there is no such organization, or the caller does not belong to it")
    private static let refused = (status: 403, when: "the caller's role there is too low, or the organization is disabled")

    private static let spent = APIField(
        "spent", .object([APIField("month", .usd, "In this month (UTC).").orNull, APIField("total", .usd, "Since ever.").orNull]),
        "What it was charged; null for members who may not see it.")

    static let organization = APIShape(
        name: "Organization", meaning: "A wallet that its members share.",
        fields: [
            .id("organization"), APIField("name", .string, "For people."),
            APIField("role", roles, "What the caller is there; null = an administrator of the gateway who is no member.").orNull,
            APIField("rights", .list(.choice(OrganizationRight.allCases.map(\.rawValue))), "What the caller may do there."),
            APIField("status", UserDescriptions.statuses, "Keys of a disabled organization are refused."),
            APIField("group", .string, "Group of gateway.yaml, which has a price factor and limits."),
            APIField("limits", .shape(.userLimits), "Those in force. Null where the stored ones cannot be read.").orNull,
            APIField("admin_limits", .shape(.userLimits), "The part of the gateway's administrators; null = none.").orNull,
            APIField("balance", .usd, "What the ledger has; null for members who may not see it.").orNull,
            APIField("held", .usd, "What calls that this gateway is serving now may cost at most.").orNull, spent, .createdAt,
        ])

    static let member = APIShape(
        name: "Member", meaning: "A user of an organization.",
        fields: [
            APIField("user_id", .id, "The user."), APIField("username", .string, "Name for login."),
            APIField("display_name", .string, "Name for people."), APIField("role", roles, roleMeaning),
            APIField("status", UserDescriptions.statuses, "Disabled users and their keys are refused everywhere."),
            APIField("limits", .shape(.userLimits), "Budgets and rates of this member in this organization.").orNull,
            APIField(
                "spent",
                .object([
                    APIField("day", .usd, "Today (UTC)."), APIField("month", .usd, "In this month."),
                    APIField("total", .usd, "Since ever."),
                ]), "What the organization was charged for this member."),
            .createdAt,
        ])

    private static let invitation: [APIField] = [
        .id("invitation"), APIField("role", roles, "What whoever uses it becomes."), APIField("note", .string, "For whom it is meant."),
        APIField("created_by", .id, "Who invites."), APIField("expires_at", .time, "When the link ends."), .createdAt,
    ]

    private static let name = APIField("name", .text(100), "For people.")
    private static let code = APIField("code", .text(100), "The secret of the link, `inv-…`.")

    static let list = RouteDescription(
        id: "listOrganizations", chapter: .organizations, summary: "The caller's organizations.",
        query: [
            APIField("all", .choice(["true"]), "For admins: everybody's.").optional,
            APIField.search("Part of the name; with `all`, or the id"),
            .beforeID, .pageSize,
        ],
        answer: .data(
            .object([
                APIField("items", .list(.shape(organization)), "By name; with `all`, the newest first."),
                APIField("next_before_id", .id, "Where to go on; null = there is no more.").orNull,
            ])), errors: [(403, "`all` is for admins")],
        example: .init(path: "/api/organization?all=true"))

    static let create = RouteDescription(
        id: "createOrganization", chapter: .organizations, summary: "Makes an organization, whose owner the caller is.",
        notes: "It has no money yet: an administrator adds some, as to a user's account, or a code is redeemed for it.",
        body: .json([name]), answer: .data(.shape(organization)),
        errors: [(409, "the caller owns \(OrganizationHandlers.maximumOwned) organizations")], example: .init(body: ["name": "Research"]))

    static let one = RouteDescription(
        id: "getOrganization", chapter: .organizations, summary: "One organization.", path: path, answer: .data(.shape(organization)),
        errors: [notFound], example: .init(path: "/api/organization/3"))

    static let change = RouteDescription(
        id: "changeOrganization", chapter: .organizations, summary: "Changes what is named of an organization.", path: path,
        body: .json([
            name.optional,
            APIField(
                "limits", .shape(.userLimits),
                "Replaces the caller's part of the limits: members set the organization's own, other administrators the gateway's."
            ).optional,
            APIField("group", .text(200), "For admins of the gateway.").optional,
            APIField("status", UserDescriptions.statuses, "For admins of the gateway.").optional,
        ]), answer: .data(.shape(organization)), errors: [refused, notFound],
        example: .init(path: "/api/organization/3", body: ["name": "Research"]))

    static let delete = RouteDescription(
        id: "deleteOrganization", chapter: .organizations, summary: "Ends an organization that has no money.",
        notes: "Its keys end, and the ledger keeps its rows.", path: path, answer: .data(nil),
        errors: [refused, notFound, (409, "it has money, or calls that run")],
        example: .init(path: "/api/organization/3"))

    static let members = RouteDescription(
        id: "listMembers", chapter: .organizations, summary: "Who belongs to an organization, by user id.", path: path,
        query: [
            APIField.search("Part of the name or the name for people"),
            APIField("after_id", .integer(0 ... .max), "Members with larger user ids; 0 = from the first.").optional, .pageSize,
        ],
        answer: .data(
            .object([
                APIField("items", .list(.shape(member)), "The members."),
                APIField("next_after_id", .id, "Where to go on; null = there is no more.").orNull,
            ])), errors: [refused, notFound], example: .init(path: "/api/organization/3/members"))

    static let setMember = RouteDescription(
        id: "setMember", chapter: .organizations, summary: "Changes a member's role or limits.",
        notes: "Administrators of the gateway make any user a member this way; others invite.", path: memberPath,
        body: .json([
            APIField("role", roles, roleMeaning).optional,
            APIField("limits", .shape(.userLimits), "Replaces the member's limits in this organization; `{}` takes them away.").optional,
        ]), answer: .data(.shape(member)),
        errors: [
            refused, (404, "there is no such organization or member, or the caller does not belong to it"),
            (409, "no owner would remain, or there is no room"),
        ], example: .init(path: "/api/organization/3/members/2", body: ["limits": ["rpm": .number("60")]]))

    static let removeMember = RouteDescription(
        id: "removeMember", chapter: .organizations, summary: "Ends a membership; members leave by removing themselves.",
        notes: "The member's keys there are disabled at once. What runs is paid by the organization.", path: memberPath,
        answer: .data(.object([APIField("disabled_keys", .count, "Keys that were disabled.")])),
        errors: [
            refused, (404, "there is no such organization or member, or the caller does not belong to it"), (409, "no owner would remain"),
        ], example: .init(path: "/api/organization/3/members/1"))

    static let invitations = RouteDescription(
        id: "listInvitations", chapter: .organizations, summary: "Links that have not been used and have not ended.", path: path,
        answer: .data(.list(.shape(APIShape(name: "Invitation", meaning: "A link by which somebody joins.", fields: invitation)))),
        errors: [refused, notFound], example: .init(path: "/api/organization/3/invitations"))

    static let invite = RouteDescription(
        id: "createInvitation", chapter: .organizations, summary: "Makes a link by which one person joins.", path: path,
        body: .json([
            APIField("role", roles, "`member` by default; the caller's role bounds it.").optional,
            APIField("note", .text(200), "For whom it is meant.").optional,
            APIField("expires_at", .time, "In seven days by default; at most ninety days from now.").optional,
        ]),
        answer: .data(
            .shape(
                APIShape(
                    name: "NewInvitation", meaning: "A link that was just made.",
                    fields: invitation + [
                        APIField("code", .string, "The secret. It is shown this once; the gateway keeps only its SHA-256."),
                        APIField("path", .string, "The console's page that uses it."),
                    ]))), errors: [refused, notFound, (409, "there are \(InvitationHandlers.maximumOpen) of them")],
        example: .init(path: "/api/organization/3/invitations", body: ["role": "member"]))

    static let withdraw = RouteDescription(
        id: "deleteInvitation", chapter: .organizations, summary: "Withdraws a link that has not been used.",
        path: path + [APIField("invitation_id", .id, "The invitation's id.")], answer: .data(nil),
        errors: [refused, (404, "there is no such organization or invitation, or the caller does not belong to it")],
        example: .init(path: "/api/organization/3/invitations/2"))

    static let look = RouteDescription(
        id: "readInvitation", chapter: .organizations, summary: "What a link is for, without using it.", body: .json([code]),
        answer: .data(
            .object([
                APIField("organization_id", .id, "The organization."), APIField("name", .string, "Its name."),
                APIField("role", roles, "What the caller would be."), APIField("expires_at", .time, "When the link ends."),
            ])), errors: [(404, "there is no such invitation"), (403, "the organization is disabled"), (409, "it was used, or has ended")],
        example: .init(body: ["code": "inv-example"]))

    static let join = RouteDescription(
        id: "joinOrganization", chapter: .organizations, summary: "Joins an organization by a link, which is used up.",
        body: .json([code]),
        answer: .data(
            .object([APIField("organization_id", .id, "The organization."), APIField("role", roles, "What the caller is there now.")])),
        errors: [
            (404, "there is no such invitation"), (403, "the organization is disabled"),
            (409, "it was used, or has ended; or the caller belongs to the organization already, or it has no room"),
        ], example: .init(body: ["code": "inv-example"]))

    static let account = RouteDescription(
        id: "getAccount", chapter: .money, summary: "A wallet: the caller's own, or an organization's.", query: [.organizationID],
        answer: .data(
            .object([
                APIField("id", .id, "The user's or the organization's."),
                APIField("kind", .choice(AccountKind.allCases.map(\.rawValue)), "Whose it is."), APIField("name", .string, "For people."),
                APIField("balance", .usd, "What the ledger has, and what is about to be posted."),
                APIField("held", .usd, "What running requests hold, and what is set aside for work of days."),
                APIField("available", .usd, "The balance less what running requests hold."),
                APIField("group", .string, "Group of gateway.yaml."), APIField("limits", .shape(.userLimits), "Those in force.").orNull,
                APIField(
                    "spent",
                    .object([
                        APIField("day", .usd, "Today (UTC)."), APIField("month", .usd, "In this month."),
                        APIField("total", .usd, "Since ever."),
                    ]), "What was charged."), APIField("currency", .choice(["USD"]), "The only one."),
            ])), errors: [(403, "the caller's role in the organization is too low"), notFound])
}
