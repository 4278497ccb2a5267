import HTTPTypes

/// Wallets, and the organisations that share one.
extension GatewayRoutes {
    static let organizations: [Route] = {
        typealias Texts = OrganizationDescriptions
        let one = "/api/organization/{id}"
        let member = "\(one)/members/{user_id}"
        return [
            Route(.get, "/api/account", .user, Texts.account, \.accounts, AccountHandlers.account),
            Route(.get, "/api/organization", .user, Texts.list, \.organizations, OrganizationHandlers.list),
            Route(.post, "/api/organization", .user, Texts.create, \.organizations, OrganizationHandlers.create),
            Route(.post, "/api/organization/invitation", .user, Texts.look, \.invitations, InvitationHandlers.look),
            Route(.post, "/api/organization/join", .user, Texts.join, \.invitations, InvitationHandlers.join),
            Route(.get, one, .user, Texts.one, \.organizations, OrganizationHandlers.one),
            Route(.put, one, .user, Texts.change, \.organizations, OrganizationHandlers.change),
            Route(.delete, one, .user, Texts.delete, \.organizations, OrganizationHandlers.delete),
            Route(.get, "\(one)/members", .user, Texts.members, \.organizations, OrganizationHandlers.members),
            Route(.put, member, .user, Texts.setMember, \.organizations, OrganizationHandlers.setMember),
            Route(.delete, member, .user, Texts.removeMember, \.organizations, OrganizationHandlers.removeMember),
            Route(.get, "\(one)/invitations", .user, Texts.invitations, \.invitations, InvitationHandlers.list),
            Route(.post, "\(one)/invitations", .user, Texts.invite, \.invitations, InvitationHandlers.create),
            Route(.delete, "\(one)/invitations/{invitation_id}", .user, Texts.withdraw, \.invitations, InvitationHandlers.delete),
        ]
    }()
}
