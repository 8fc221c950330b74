/* cmd/berth/enrollment_group.c: `berth enrollment-group`: every device under one CA, or with keys
 * derived from the group's. */
#include "cmd/berth/commands.h"
#include "cmd/berth/enrollment_body.h"
#include "cmd/berth/enrollment_keys.h"
#include "cmd/berth/resource.h"

static const struct view_column LIST[] = {
    { "ID", "enrollmentGroupId" },
    { "STATUS", "provisioningStatus" },
    { "PROOF", "attestation.type" },
    { "CERTIFICATE", "attestation.x509/tpm.caReferences.primary|attestation.x509/"
                     "tpm.signingCertificates.primary.info.subjectName" },
    { "ALLOCATION", "allocationPolicy" },
    { "HUBS", "iotHubs|iotHubHostName" },
    { "UPDATED", "lastUpdatedDateTimeUtc" },
    { NULL, NULL },
};

static const struct view_column SHOW[] = {
    { "id", "enrollmentGroupId" },
    { "status", "provisioningStatus" },
    { "proof", "attestation.type" },
    { "CA", "attestation.x509/tpm.caReferences.primary" },
    { "second CA", "attestation.x509/tpm.caReferences.secondary" },
    { "certificate", "attestation.x509/tpm.signingCertificates.primary.info.subjectName" },
    { "  SHA-1", "attestation.x509/tpm.signingCertificates.primary.info.sha1Thumbprint" },
    { "  SHA-256", "attestation.x509/tpm.signingCertificates.primary.info.sha256Thumbprint" },
    { "  expires", "attestation.x509/tpm.signingCertificates.primary.info.notAfterUtc" },
    { "second cert.", "attestation.x509/tpm.signingCertificates.secondary.info.subjectName" },
    { "  SHA-1", "attestation.x509/tpm.signingCertificates.secondary.info.sha1Thumbprint" },
    { "  SHA-256", "attestation.x509/tpm.signingCertificates.secondary.info.sha256Thumbprint" },
    { "primary key", "attestation.symmetricKey.primaryKey" },
    { "second key", "attestation.symmetricKey.secondaryKey" },
    { "IoT Edge", "capabilities.iotEdge" },
    { "allocation", "allocationPolicy" },
    { "webhook", "customAllocationDefinition.webhookUrl" },
    { "hubs", "iotHubs|iotHubHostName" },
    { "initial tags", "initialTwin.tags" },
    { "initial desired", "initialTwin.properties.desired" },
    { "created", "createdDateTimeUtc" },
    { "updated", "lastUpdatedDateTimeUtc" },
    { "etag", "etag" },
    { NULL, NULL },
};

static const struct resource GROUP = { .collection = "/enrollmentGroups",
                                       .option = "enrollment-id",
                                       .word = "enrollment group",
                                       .plural = "enrollment groups",
                                       .list = LIST,
                                       .show = SHOW };

err berth_enrollment_group_create(struct cli *cli)
{
    struct http_request request = berth_resource_request(cli, &GROUP, "PUT");

    TRY(berth_enrollment_body_make(cli, ENROLLMENT_GROUP, NULL, &request.body));
    return berth_resource_send(cli, &GROUP, &request);
}

err berth_enrollment_group_update(struct cli *cli)
{
    struct http_request request = { .method = NULL };
    json *stored = NULL;

    TRY(berth_resource_begin_update(cli, &GROUP, &request, &stored));
    TRY(berth_enrollment_keys_complete(cli, &GROUP, &stored));
    TRY(berth_enrollment_body_make(cli, ENROLLMENT_GROUP, stored, &request.body));
    return berth_resource_send(cli, &GROUP, &request);
}

err berth_enrollment_group_list(struct cli *cli)
{
    return berth_resource_list_where(cli, &GROUP);
}

err berth_enrollment_group_show(struct cli *cli)
{
    return berth_enrollment_keys_show(cli, &GROUP);
}

err berth_enrollment_group_delete(struct cli *cli)
{
    return berth_resource_delete(cli, &GROUP);
}

err berth_enrollment_group_compute_device_key(struct cli *cli)
{
    return berth_enrollment_keys_compute(cli, &GROUP);
}
